"""What may be a symbol. Whether an exchange knows it is that exchange's answer, not ours."""

from klines_pipeline.domain.errors import ConfigurationError

_LONGEST = 60
_FORBIDDEN = frozenset('/\\\0:*?"<>|=%#&+ \t\r\n')


def check_symbol(symbol: str, *, where: str = "") -> str:
    """Return the symbol as it is, or refuse one that could climb out of the lake or break a key.

    Non-ASCII letters are real (`币安人生USDT` trades since 2025-10). Separators, controls and dots alone are not.
    """
    bad = not symbol or len(symbol) > _LONGEST or symbol.startswith((".", "_", "-"))
    if bad or any(letter in _FORBIDDEN or not letter.isprintable() for letter in symbol):
        prefix = f"{where}: " if where else ""
        raise ConfigurationError(
            f"{prefix}{symbol!r} cannot be a symbol. Write it as the exchange prints it, for example BTCUSDT."
        )
    return symbol


def may_be_symbol(name: object) -> bool:
    """Whether a name that an exchange lists can be kept as a symbol; what is no text, its reader has to refuse."""
    if not isinstance(name, str):
        return True
    try:
        check_symbol(name)
    except ConfigurationError:
        return False
    return True
