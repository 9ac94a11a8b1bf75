import pytest

from makini_operator.resources.selector import LabelSelector

LABELS = {"team": "erp", "stage": "production"}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({}, True),
        ({"matchLabels": {"team": "erp"}}, True),
        ({"matchLabels": {"team": "erp", "stage": "test"}}, False),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["erp", "wms"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["wms"]}]}, False),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["erp"]}]}, False),
        ({"matchExpressions": [{"key": "absent", "operator": "NotIn", "values": ["erp"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "absent", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "absent", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"team": "erp"}, "matchExpressions": [{"key": "stage", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_a_selector_reads_as_in_kubernetes(selector: dict[str, object], matches: bool) -> None:
    assert LabelSelector.model_validate(selector).matches(LABELS) is matches


def test_an_absent_label_is_in_no_set_of_values() -> None:
    selector = LabelSelector.model_validate({"matchExpressions": [{"key": "absent", "operator": "In", "values": [""]}]})
    assert not selector.matches(LABELS)
