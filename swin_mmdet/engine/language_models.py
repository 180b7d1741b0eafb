"""The language models that a detector reads its classes with: there, or fetched, before anything slow."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config

from swin_mmdet.config.nodes import keyed_nodes, type_name
from swin_mmdet.errors import UserError

# mmdet's class, and the key of its transforms and heads for the same
LANGUAGE_MODELS, TOKENIZERS = ('BertModel',), ('tokenizer_name', 'lang_model_name')
PARTS = ('model', 'train_dataloader', 'val_dataloader', 'test_dataloader')


def language_models(cfg: Config, parts: Sequence[str] = PARTS) -> Iterator[tuple[str, str]]:
    """Key and value of each setting that names one: a folder, or a name on huggingface.co."""
    for part in parts:
        for key, node in keyed_nodes(cfg.get(part), part):
            names = ('name',) if type_name(node) in LANGUAGE_MODELS else TOKENIZERS
            yield from ((f'{key}.{name}', node[name]) for name in names if isinstance(node.get(name), str))


def check_language_models(cfg: Config, parts: Sequence[str] = PARTS) -> None:
    """Every one in these parts of a config is in a folder or in transformers' cache, or is fetched now.

    Raises:
        UserError: names the setting and how to get it by hand.
    """
    keys: dict[str, list[str]] = {}
    for key, name in language_models(cfg, parts):
        keys.setdefault(name, []).append(key)
    for name, places in keys.items():
        if Path(name).is_dir():
            continue
        try:
            from transformers import AutoConfig, AutoTokenizer
        except ImportError:
            raise UserError(f'{places[0]}: {name} needs the package transformers: pip install transformers') from None
        try:
            AutoConfig.from_pretrained(name)
            AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f'{places[0]}: {name} is no folder, and huggingface.co does not give it ({reason}); save it where '
                f'there is a network (`hf download {name} --local-dir FOLDER`) and set --cfg-options '
                + ' '.join(f'{place}=FOLDER' for place in places)
            ) from error
