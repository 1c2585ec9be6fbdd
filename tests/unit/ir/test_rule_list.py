"""The list of rules is made from the functions that are rules; what is none, or pretends to be another, is refused."""

from __future__ import annotations

import pytest

from tools.gen_rewrites import rules_of

RULE = '''
def twice_nothing(r, node):
    """x + x is
    nothing new."""
    return did(r, R_TWICE_NOTHING, CHANGED)


def helper(r, node):
    return NONE
'''


def test_a_rule_is_a_function_with_its_number():
    """Its docstring is what it says; other functions are none."""
    assert list(rules_of("planted", RULE)) == [("twice_nothing", "x + x is nothing new.")]


def test_a_rule_with_the_number_of_another_is_refused():
    """Else the explanation of a rewrite would name the wrong one."""
    with pytest.raises(SystemExit, match=r"planted\.twice_nothing is a rule with the numbers of others: R_ADD_ZERO"):
        list(rules_of("planted", RULE.replace("R_TWICE_NOTHING", "R_ADD_ZERO")))


def test_a_rule_that_says_nothing_is_refused():
    """The list is for readers."""
    with pytest.raises(SystemExit, match=r"planted\.twice_nothing is a rule whose docstring does not say"):
        list(rules_of("planted", RULE.replace('"""x + x is\n    nothing new."""', "pass")))
