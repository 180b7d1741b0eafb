"""What is installed and what runs on this machine, what is wrong with it, and the line that mends it."""

from swin_mmdet.doctor.finding import Finding
from swin_mmdet.doctor.machine import gpus_by_driver, machine_findings
from swin_mmdet.doctor.packages import package_findings
from swin_mmdet.doctor.trials import Trial, findings, try_all

__all__ = ['Finding', 'Trial', 'findings', 'gpus_by_driver', 'machine_findings', 'package_findings', 'try_all']
