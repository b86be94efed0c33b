import subprocess
import sys

import pytest

from tests.clients.settings import ID, SMALL, marks

pytestmark = marks


def test_the_zoo_trains_and_stores_an_agent(tmp_path):
    pytest.importorskip("rl_zoo3")
    conf = tmp_path / "ppo.yml"
    conf.write_text(
        f"{ID}:\n  n_envs: 2\n  n_timesteps: 40\n  policy: MlpPolicy\n  n_steps: 10\n"
        "  batch_size: 20\n  n_epochs: 1\n"
    )
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", "ppo", "--env", ID]
    command += ["--gym-packages", "autoloss_gym", "--conf-file", str(conf), "-f", str(tmp_path)]
    command += ["--eval-episodes", "2", "--eval-freq", "20", "--device", "cpu", "--env-kwargs"]
    command += [f"{name}:{value}" for name, value in SMALL.items()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    stored = tmp_path / "ppo" / f"{ID.replace('/', '-')}_1"
    assert (stored / f"{ID.replace('/', '-')}.zip").is_file(), sorted(tmp_path.rglob("*"))
    assert (stored / "evaluations.npz").is_file()
