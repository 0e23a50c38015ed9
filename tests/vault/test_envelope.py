from __future__ import annotations

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.vault.envelope import CannotOpen, Context, Sealed, rewrap, seal, unseal
from trade_platform.vault.keyring import Keyring, UnknownKey
from trade_platform.vault.secret import Secret

HERE = Context(tenant="tenant-1", credential="credential-1", version=1)


def keyring(*ids: str) -> Keyring:
    return Keyring({one: Secret(one.encode().ljust(32, b"-")) for one in ids})


ONE = keyring("2026")
BOTH = keyring("2026", "2027")


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_again(value: bytes) -> None:
    sealed = seal(Secret(value), HERE, ONE)
    assert unseal(sealed, HERE, ONE).reveal() == value
    assert len(value) < 4 or value not in sealed.sealed_secret + sealed.wrapped_key


@pytest.mark.parametrize(
    "moved",
    [
        Context(tenant="tenant-2", credential="credential-1", version=1),
        Context(tenant="tenant-1", credential="credential-2", version=1),
        Context(tenant="tenant-1", credential="credential-1", version=2),
        Context(tenant="tenant-1", credential="credential-1", version=1, field="passphrase"),
        Context(tenant="tenant-1credential", credential="-1", version=1),
    ],
)
def test_moved_to_another_place_it_does_not_open(moved: Context) -> None:
    sealed = seal(Secret("secret"), HERE, ONE)
    with pytest.raises(CannotOpen, match="another credential or tenant"):
        unseal(sealed, moved, ONE)
    with pytest.raises(CannotOpen):
        rewrap(sealed, moved, BOTH)


def test_parts_of_two_envelopes_make_none() -> None:
    """Someone with the table in hand puts one secret below another one's data key."""
    one, other = (seal(Secret(text), HERE, ONE) for text in ("one", "other"))
    mixed = msgspec.structs.replace(one, sealed_secret=other.sealed_secret)
    with pytest.raises(CannotOpen):
        unseal(mixed, HERE, ONE)


@given(st.data())
def test_one_altered_bit_is_noticed(data: st.DataObject) -> None:
    sealed = seal(Secret("secret"), HERE, ONE)
    field = data.draw(st.sampled_from(["wrapped_key", "sealed_secret"]))
    value = bytearray(getattr(sealed, field))
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    value[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CannotOpen):
        unseal(msgspec.structs.replace(sealed, **{field: bytes(value)}), HERE, ONE)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_rubbish_cannot_be_opened_and_nothing_else_happens(wrapped: bytes, secret: bytes) -> None:
    with pytest.raises(CannotOpen):
        unseal(Sealed(kek_id="2026", wrapped_key=wrapped, sealed_secret=secret), HERE, ONE)


def test_a_key_of_the_same_name_that_is_another_one_opens_nothing() -> None:
    sealed = seal(Secret("secret"), HERE, ONE)
    with pytest.raises(CannotOpen):
        unseal(sealed, HERE, Keyring({"2026": Secret(os.urandom(32))}))


def test_rotation_changes_the_wrapping_and_not_the_secret() -> None:
    before = seal(Secret("secret"), HERE, ONE)
    after = rewrap(before, HERE, BOTH)
    assert (before.kek_id, after.kek_id) == ("2026", "2027")
    assert after.sealed_secret == before.sealed_secret
    assert after.wrapped_key != before.wrapped_key
    for sealed in (before, after):  # while it lasts, both are read
        assert unseal(sealed, HERE, BOTH).reveal() == b"secret"
    assert unseal(after, HERE, keyring("2027")).reveal() == b"secret"
    with pytest.raises(UnknownKey, match="'2026' is not here"):
        unseal(before, HERE, keyring("2027"))


def test_the_same_secret_is_never_sealed_alike() -> None:
    sealed = [seal(Secret("secret"), HERE, ONE) for _ in range(50)]
    assert len({one.sealed_secret for one in sealed}) == len({one.wrapped_key for one in sealed}) == 50
    assert len({one.sealed_secret[:12] for one in sealed}) == 50, "a nonce is used once"


def test_an_envelope_shows_no_secret_in_its_errors() -> None:
    sealed = seal(Secret("canary-77"), HERE, ONE)
    with pytest.raises(CannotOpen) as caught:
        unseal(sealed, Context(tenant="x", credential="y", version=3), ONE)
    assert caught.value.__suppress_context__
    assert "canary" not in str(caught.value)
