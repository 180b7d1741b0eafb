"""Write the result tables of the READMEs from the files in tools/benchmarks/results, between their markers.

    python tools/benchmarks/render_tables.py [--check]

`--check` changes nothing and fails when a table does not say what the files say.
"""

import argparse
import re
import sys
from pathlib import Path

from result_tables.backbones import attention_table, backbone_memory_table, backbone_table, speed_table, time_table
from result_tables.detectors import detectors_table, neck_and_heads_table, parts_table
from result_tables.exports import export_ap_table, export_full_size_table, export_speed_table, export_table
from result_tables.recipes import recipe_table
from result_tables.runs import (
    data_check_table,
    data_faults_table,
    data_table,
    faults_table,
    formats_table,
    memory_table,
    runs_table,
    saving_table,
    soak_table,
)
from result_tables.zoo import deformable_table, half_table, learning_table, zoo_table

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = (ROOT / 'README.md', ROOT / 'tools/README.md', ROOT / 'tools/benchmarks/README.md')
TABLES = {
    'attention': attention_table,
    'backbone': backbone_table,
    'backbone_memory': backbone_memory_table,
    'data': data_table,
    'data_check': data_check_table,
    'data_faults': data_faults_table,
    'deformable': deformable_table,
    'detectors': detectors_table,
    'export': export_table,
    'export_ap': export_ap_table,
    'export_full_size': export_full_size_table,
    'export_speed': export_speed_table,
    'faults': faults_table,
    'formats': formats_table,
    'half': half_table,
    'learning': learning_table,
    'memory': memory_table,
    'neck_and_heads': neck_and_heads_table,
    'parts': parts_table,
    'recipe': recipe_table,
    'runs': runs_table,
    'saving': saving_table,
    'soak': soak_table,
    'speed': speed_table,
    'time': time_table,
    'zoo': zoo_table,
}
MARKED = re.compile(r'(<!-- table (\w+) -->\n).*?(<!-- end \2 -->)', re.DOTALL)


def render(text: str, here: Path) -> str:
    """The text with every `<!-- table NAME -->` ... `<!-- end NAME -->` filled anew."""
    return MARKED.sub(lambda found: f'{found[1]}{TABLES[found[2]](here)}\n{found[3]}', text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true')
    check = parser.parse_args().check
    code = 0
    for path in FILES:
        old = path.read_text()
        new = render(old, path.parent)
        if new == old:
            continue
        if check:
            print(f'{path.relative_to(ROOT)} differs from the results; run {sys.argv[0]}', file=sys.stderr)
            code = 1
        else:
            path.write_text(new)
    return code


if __name__ == '__main__':
    sys.exit(main())
