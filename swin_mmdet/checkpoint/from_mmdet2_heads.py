"""Heads of mmdet 2.x under the names of mmdet 3.x.

Found by building 166 configurations with mmdet 2.11 to 2.28 and with 3.3: R-CNN, HTC, one-stage and point-based
detectors have equal keys and shapes in both, the families below have other names. No value changes: with renamed
weights the attention modules of both versions gave equal outputs. 3.3's own loading code handles none of this.
"""

import re

from swin_mmdet.checkpoint.key_template import rename
from swin_mmdet.checkpoint.layout import StateDict

# buffers that mmcv 1.x's EMA hook leaves beside the weights
EMA_BUFFER = re.compile(r'^ema_')

PIXEL, DECODER = 'panoptic_head.pixel_decoder.encoder.layers.{i}.', 'panoptic_head.transformer_decoder.layers.{i}.'
PANOPTIC_FFN = ((PIXEL + 'ffns.0.', PIXEL + 'ffn.'), (DECODER + 'ffns.0.', DECODER + 'ffn.'))
OLD = 'bbox_head.transformer.'
ENCODER_LAYER, DECODER_LAYER = 'encoder.layers.{i}.', 'decoder.layers.{i}.'

# (pattern of a key that only 2.x files of the family have, pairs of templates 2.x -> 3.x); the first family counts
FAMILIES = (
    # Mask2Former attends to the image first: attention 0 of its decoder is the cross-attention
    (
        r'^panoptic_head\.pixel_decoder\.encoder\.layers\.\d+\.attentions\.0\.sampling_offsets\.weight$',
        (
            (PIXEL + 'attentions.0.', PIXEL + 'self_attn.'),
            (DECODER + 'attentions.0.', DECODER + 'cross_attn.'),
            (DECODER + 'attentions.1.', DECODER + 'self_attn.'),
            *PANOPTIC_FFN,
        ),
    ),
    # MaskFormer, with and without a transformer in its pixel decoder
    (
        r'^panoptic_head\.transformer_decoder\.layers\.\d+\.attentions\.0\.attn\.in_proj_weight$',
        (
            (PIXEL + 'attentions.0.', PIXEL + 'self_attn.'),
            (DECODER + 'attentions.0.', DECODER + 'self_attn.'),
            (DECODER + 'attentions.1.', DECODER + 'cross_attn.'),
            *PANOPTIC_FFN,
        ),
    ),
    # DETR and Deformable DETR, plain, with box refinement, in two stages
    (
        r'^bbox_head\.transformer\.(encoder|decoder)\.layers\.\d+\.norms\.0\.weight$',
        (
            ('bbox_head.input_proj.', 'neck.convs.0.conv.'),
            ('bbox_head.query_embedding.', 'query_embedding.'),
            (OLD + 'level_embeds', 'level_embed'),
            (OLD + 'reference_points.', 'reference_points_fc.'),
            (OLD + 'enc_output.', 'memory_trans_fc.'),
            (OLD + 'enc_output_norm.', 'memory_trans_norm.'),
            (OLD + 'pos_trans.', 'pos_trans_fc.'),
            (OLD + 'pos_trans_norm.', 'pos_trans_norm.'),
            (OLD + ENCODER_LAYER + 'attentions.0.', ENCODER_LAYER + 'self_attn.'),
            (OLD + ENCODER_LAYER + 'ffns.0.', ENCODER_LAYER + 'ffn.'),
            (OLD + DECODER_LAYER + 'attentions.0.', DECODER_LAYER + 'self_attn.'),
            (OLD + DECODER_LAYER + 'attentions.1.', DECODER_LAYER + 'cross_attn.'),
            (OLD + DECODER_LAYER + 'ffns.0.', DECODER_LAYER + 'ffn.'),
            # names of 2.11
            (OLD + DECODER_LAYER + 'multihead_attn.', DECODER_LAYER + 'cross_attn.'),
            (OLD + 'encoder.norm.', 'encoder.post_norm.'),
            (OLD + 'decoder.norm.', 'decoder.post_norm.'),
            (OLD, ''),
        ),
    ),
    # YOLACT
    (r'^segm_head\.segm_conv\.weight$', (('segm_head.segm_conv.', 'mask_head.segm_branch.segm_conv.'),)),
)


def to_mmdet3_heads(heads: StateDict) -> tuple[StateDict, dict[str, str]]:
    """The weights beside a backbone under 3.x names, and the keys that are no weights, with the reason."""
    dropped = {key: 'a buffer of the EMA hook of mmcv 1.x' for key in heads if EMA_BUFFER.match(key)}
    kept = {key: value for key, value in heads.items() if key not in dropped}
    pairs = next((pairs for mark, pairs in FAMILIES if any(re.search(mark, key) for key in kept)), ())
    return {rename(key, pairs): value for key, value in kept.items()}, dropped
