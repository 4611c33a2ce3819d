"""What a broken server, a newer version or a hostile guest may answer."""

from hypothesis import settings
from hypothesis import strategies as st

# Examples are checked for what they give, not for how long a busy machine takes.
settings.register_profile('proxmox', deadline=None)
settings.load_profile('proxmox')

numbers = st.integers() | st.floats() | st.booleans() | st.none()
texts = st.text(max_size=60)
json_values = st.recursive(
    numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


def nearly(*samples: str) -> st.SearchStrategy[str]:
    """Texts that resemble the samples: whole, cut into pieces, glued together in another order."""
    pieces = sorted({piece for sample in samples for piece in (sample, *sample.split(','), *sample.split('='))})
    glued = st.lists(st.sampled_from(pieces) | st.sampled_from([',', '=', ';', ':', '/', ' ', '\0']), max_size=6)
    return glued.map(''.join) | texts
