"""What Cookiecutter makes of the template."""

from pytest_cookies.plugin import Cookies


def test_defaults_render(cookies: Cookies) -> None:
    """The default answers render a service (T1)."""
    result = cookies.bake()

    assert result.exception is None
    assert (result.project_path / "manage.py").exists()
