"""`python -m swin_mmdet COMMAND`, and under torchrun `-m swin_mmdet COMMAND`: the program swin-mmdet."""

from swin_mmdet.commands.program import main

if __name__ == '__main__':
    main()
