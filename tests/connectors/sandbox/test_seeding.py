"""Generators and identifiers: the same seed gives the same, and names keep generators apart."""

import random
import uuid

from connectors.sandbox.seeding import new_uuid, seeded


def test_uuid_when_made_then_it_is_a_version_4_uuid_from_the_generator() -> None:
    made = new_uuid(random.Random(1))
    assert uuid.UUID(made).version == 4
    assert str(uuid.UUID(made)) == made
    assert made == new_uuid(random.Random(1))


def test_seeded_when_names_differ_then_so_do_the_generators() -> None:
    assert seeded(1, "a").random() == seeded(1, "a").random()
    assert seeded(1, "a").random() != seeded(1, "b").random()
    assert seeded(1, "a").random() != seeded(2, "a").random()
