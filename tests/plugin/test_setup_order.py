"""A conftest or another plugin may end the setup of a test before Multitrack's plugin begins."""

import pytest

ENDINGS = {"pytest.skip('not here')": {"skipped": 1, "passed": 1}, "raise ValueError": {"errors": 1, "passed": 1}}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_test_that_ends_before_our_setup_has_no_error_in_its_teardown(project, ending):
    project.write(
        "conftest.py",
        f"""
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_setup(item):
            if item.name == "test_early":
                {ending}
        """,
    )
    project.write("test_it.py", "def test_early(tape): pass\n\ndef test_other(): pass\n")
    assert project.run("-n0").counts == ENDINGS[ending]
