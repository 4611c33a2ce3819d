"""Decisions of users as plain data for a sync."""

import pytest
from virtualization.models import VirtualMachine

from netbox_proxsync.ledger.answers import load_answers
from netbox_proxsync.sync.answers import Choice

from ..cases import make_clusters, make_decision, make_endpoint

pytestmark = pytest.mark.django_db


def test_a_decision_about_a_deleted_object_has_no_effect():
    endpoint = make_endpoint()
    (cluster,) = make_clusters('lab')
    kept, deleted = (VirtualMachine.objects.create(name=name, cluster=cluster) for name in ('kept', 'deleted'))
    for vmid, machine in ((100, kept), (101, deleted)):
        make_decision(endpoint, vmid, machine)
    deleted.delete()
    make_decision(endpoint, 102, None, choice='ignore')
    answers = load_answers(endpoint)
    assert {key: (answer.choice, answer.pointer and answer.pointer.pk) for (_kind, key), answer in answers.items()} == {
        'qemu/100': (Choice.LINK, kept.pk),
        'qemu/102': (Choice.IGNORE, None),
    }
