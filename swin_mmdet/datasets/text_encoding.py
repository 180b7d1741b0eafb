"""How the text of a file is written, told by its first bytes."""

UTF_16 = b'\xff\xfe', b'\xfe\xff'
UTF_8_MARK = b'\xef\xbb\xbf'
LOOKED_AT = 64  # bytes after white space


def encoding_of(content: bytes) -> str:
    """'utf-8', or 'utf-8-sig' with a mark; 'utf-16' with a mark, 'utf-16-le' or 'utf-16-be' without one."""
    if content.startswith(UTF_8_MARK):
        return 'utf-8-sig'
    if content.startswith(UTF_16):
        return 'utf-16'
    if b'\0' in content.lstrip()[:LOOKED_AT]:
        return 'utf-16-be' if content[:1] == b'\0' else 'utf-16-le'
    return 'utf-8'
