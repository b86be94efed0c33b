"""Where the package keeps what took long to make."""

import platformdirs

from autoloss_gym.tools.cache import CACHE_VARIABLE, cache_folder


def test_the_cache_is_the_users_unless_the_variable_names_another(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    monkeypatch.delenv(CACHE_VARIABLE)
    assert cache_folder() == platformdirs.user_cache_path("autoloss_gym", appauthor=False)
