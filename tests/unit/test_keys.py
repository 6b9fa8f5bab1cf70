"""API keys: what they look like, what they allow, until when."""

import hashlib
import re
from datetime import timedelta
from uuid import UUID

import pytest

from shared.keys import Grant, Scope, hash_of, new_key, shown_prefix
from tests.unit.making import NOW, PROJECT


def a_grant(*scopes: Scope) -> Grant:
    return Grant(key_id=UUID(int=1), project_id=PROJECT, scopes=scopes)


def test_a_key_says_whose_it_is_and_fits_a_header() -> None:
    assert re.fullmatch(r"assay_[A-Za-z0-9_-]{43}", new_key())


def test_no_two_keys_are_alike() -> None:
    assert len({new_key() for _ in range(100)}) == 100


def test_the_shown_part_tells_keys_apart_and_keeps_the_secret() -> None:
    key = new_key()

    assert key.startswith(shown_prefix(key))
    assert len(shown_prefix(key)) == 12


def test_of_a_key_its_sha_256_is_kept() -> None:
    assert hash_of("assay_x") == hashlib.sha256(b"assay_x").digest()


@pytest.mark.parametrize("key", ["", "é", "\udcff", "ÿ" * 200, "😀"])
def test_whatever_stands_in_a_header_has_a_hash(key: str) -> None:
    assert len(hash_of(key)) == 32


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_allows_its_scopes_and_nothing_else(scope: Scope) -> None:
    grant = a_grant(Scope.SCORES_WRITE, Scope.CONFIGS_WRITE)

    assert grant.allows(scope) == (scope in (Scope.SCORES_WRITE, Scope.CONFIGS_WRITE))


@pytest.mark.parametrize("scope", list(Scope))
def test_an_admin_key_allows_everything_and_an_empty_one_nothing(scope: Scope) -> None:
    assert a_grant(Scope.ADMIN).allows(scope)
    assert not a_grant().allows(scope)


@pytest.mark.parametrize(("seconds", "is_expired"), [(-1, True), (0, True), (1, False)])
def test_a_key_ends_at_the_instant_of_its_expiry(seconds: int, is_expired: bool) -> None:
    grant = Grant(key_id=UUID(int=1), project_id=PROJECT, scopes=(), expires_at=NOW + timedelta(seconds=seconds))

    assert grant.is_expired(NOW) is is_expired


def test_a_key_without_an_expiry_never_ends() -> None:
    assert not a_grant().is_expired(NOW + timedelta(days=100_000))
