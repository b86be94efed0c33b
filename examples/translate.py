"""Five translations of a model before and after 600 updates, the first 180 on parts of speech."""

import gymnasium as gym

import autoloss_gym  # registers the ids AutoLoss/…  # noqa: F401

TRANSLATION, PARTS_OF_SPEECH = 0, 2  # actions of AutoLoss/MultiTaskTranslation-v0
UPDATES = 600


def show(env, moment):
    print(f"\n{moment}:")
    for each in env.unwrapped.samples(5):
        print(f"  {each.source}\n    means  {each.reference}\n    found  {each.translation}")


def main():
    env = gym.make("AutoLoss/MultiTaskTranslation-v0", split="validation", max_steps=UPDATES)
    env.reset(seed=0)
    show(env, "Before training")
    for step in range(UPDATES):
        action = PARTS_OF_SPEECH if step < 0.3 * UPDATES else TRANSLATION
        *_, info = env.step(action)
    show(env, f"After {UPDATES} updates")
    print(f"\nPerplexity of unseen sentences: {info['score']:.2f}")


if __name__ == "__main__":
    main()
