"""The page of the study."""

from studies.pages import Page

_INTRODUCTION = """\
# Introspective VAE: which weights, and whose turn?

A variational autoencoder that judges its own images has three losses that pull on two networks: the
divergence of codes from their prior, the adversarial terms (weight α), and the error of
reconstructions (weight β). SoftAdapt (§4.2) reports that adaptive weights in place of α and β make
better reconstructions than the fixed ones of the released code. Do they on `AutoLoss/IntroVAE-v0`,
against fixed weights that were chosen for this size, and what does the unit of the reconstruction
error do?

All policies meet the same runs of the test split (initial weights, images, mini-batches), which no
choice has seen; fixed weights of the grid are chosen on the validation split. A step moves both
networks; where players move in turn, two of their updates are one step, each with a mini-batch of
its own, so that all rows make equally many updates. A run that collapses by one of the task's rules
ends early and keeps its last scores. Figures are of images of the test part: reconstructions are
compared with their originals (SSIM, PSNR) or with other images (NIQE), and so are samples (Fréchet
distance). The faces are those of LFWcrop.
"""
_HEADINGS = {
    "faces": "## Faces of 16 × 16 pixels (`preset=faces`)",
    "faces32": "## Faces of 32 × 32 pixels (`preset=faces32`)",
    "faces64": "## Faces of 64 × 64 pixels (`preset=faces64`)",
    "digits": "## Digits of 8 × 8 pixels (`preset=digits`)",
}
PAGE = Page("python -m studies.intro_vae", _INTRODUCTION, _HEADINGS)
