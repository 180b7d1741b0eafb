"""Where the weights are that backbones start from, by the names of their files: those that Swin's authors published."""

weights = {
    name: f'https://github.com/SwinTransformer/storage/releases/download/v{version}/{name}.pth'
    for version, names in {
        '1.0.0': (
            'swin_tiny_patch4_window7_224',
            'swin_small_patch4_window7_224',
            'swin_base_patch4_window12_384',
            'swin_base_patch4_window12_384_22k',
            'swin_base_patch4_window12_384_22kto1k',
            'swin_base_patch4_window7_224',
            'swin_base_patch4_window7_224_22k',
            'swin_large_patch4_window12_384_22k',
            'swin_large_patch4_window12_384_22kto1k',
            'swin_large_patch4_window7_224_22k',
        ),
        '1.0.3': (
            'moby_swin_t_300ep_pretrained',
        ),
        '2.0.0': (
            'swinv2_tiny_patch4_window16_256',
            'swinv2_tiny_patch4_window8_256',
            'swinv2_small_patch4_window16_256',
            'swinv2_small_patch4_window8_256',
            'swinv2_base_patch4_window16_256',
            'swinv2_base_patch4_window8_256',
            'swinv2_large_patch4_window12_192_22k',
        ),
    }.items()
    for name in names
}
