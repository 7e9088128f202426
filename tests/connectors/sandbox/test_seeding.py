"""Generators and identifiers: the same seed gives the same, and names keep generators apart."""

import random
import uuid

from connectors.sandbox.seeding import new_uuid, seeded, stable_uuid


def test_uuid_when_made_then_it_is_a_version_4_uuid_from_the_generator() -> None:
    made = new_uuid(random.Random(1))
    assert uuid.UUID(made).version == 4
    assert str(uuid.UUID(made)) == made
    assert made == new_uuid(random.Random(1))


def test_seeded_when_names_differ_then_so_do_the_generators() -> None:
    assert seeded(1, "a").random() == seeded(1, "a").random()
    assert seeded(1, "a").random() != seeded(1, "b").random()
    assert seeded(1, "a").random() != seeded(2, "a").random()


def test_stable_id_when_made_of_the_same_parts_then_the_same_in_every_process() -> None:
    # Key ids that operators have written into their settings are made so.
    assert stable_uuid("user", "member") == "c241b3ff-4a30-4e3c-891f-9ae1ae80b27f"
    assert stable_uuid("a", "b") != stable_uuid("ab")
