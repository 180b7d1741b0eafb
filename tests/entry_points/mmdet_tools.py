"""mmdet's own scripts one after the other, each as __main__ but in one interpreter: TOOLS CHECKPOINT."""

import runpy
import sys
from pathlib import Path

tools, checkpoint = Path(sys.argv[1]), sys.argv[2]


def run(script: str, *arguments: str) -> None:
    sys.argv = [script, *arguments]
    print('==', *sys.argv, flush=True)
    runpy.run_path(str(tools / script), run_name='__main__')


run('test.py', 'tiny.py', checkpoint, '--work-dir', 'tested', '--out', 'results.pkl')
run('analysis_tools/analyze_results.py', 'tiny.py', 'results.pkl', 'analyzed', '--topk', '1')
run('analysis_tools/confusion_matrix.py', 'tiny.py', 'results.pkl', 'confusion')
run('analysis_tools/browse_dataset.py', 'tiny.py', '--output-dir', 'browsed', '--not-show')
run('misc/print_config.py', 'tiny.py')
run('model_converters/publish_model.py', checkpoint, 'published.pth')
