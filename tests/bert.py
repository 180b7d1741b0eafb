"""A small BERT in place of the published one, which is on the internet."""

from pathlib import Path

SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '.', '?']


def write_bert(folder: Path, words: list[str], **sizes: float) -> Path:
    """The files that a download would give, of random weights; `words` are numbered after `SPECIAL`."""
    import transformers

    folder.mkdir(exist_ok=True)
    (folder / 'vocab.txt').write_text('\n'.join([*SPECIAL, *words]))
    config = transformers.BertConfig(vocab_size=len(SPECIAL) + len(words), **sizes)
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    transformers.BertTokenizer(str(folder / 'vocab.txt')).save_pretrained(folder)
    return folder
