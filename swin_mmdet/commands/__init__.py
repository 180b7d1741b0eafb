"""The programs `swin-mmdet COMMAND` and `tools/*.py`: a file each that reads its arguments, calls the library, prints.

PyTorch and MMDetection take seconds to import: functions here that need them import them, so that `--help` and wrong
arguments are answered at once.
"""
