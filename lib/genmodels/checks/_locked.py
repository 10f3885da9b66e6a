"""The library's own answers to the exercises: an instructor's grader makes these raise while the exercise is judged.

A self-check in a notebook does not lock anything: comparing with the library is a good way to find a mistake. What a
notebook asks for first and hands out later, such as the losses of the first one, is locked in the first one only.
"""

_STEPS = ("ancestral_step", "ddim_step", "sample", "ddim_sample")
_POSTERIOR = ("q_posterior", "posterior_mean_from_eps", "ancestral_step", "ddim_step", "sample", "ddim_sample")

_OF_MODULES: dict[str, dict[str, tuple[str, ...]]] = {
    # vae/bound
    "kl_normal": {"gaussian": ("kl_normal",), "vae": ("elbo_terms",)},
    "reparameterize": {"vae": ("reparameterize",)},
    "elbo_terms": {"vae": ("elbo_terms", "log_likelihood", "VAE.forward"), "gaussian": ("kl_normal",)},
    "slide_shortfall": {"vae": ("LinearGaussianVAE.elbo",)},
    # vae/model
    "make_encoder": {"nets": ("mlp_encoder", "conv_encoder")},
    "make_decoder": {"nets": ("mlp_decoder", "conv_decoder")},
    "training_step": {"train": ("negative_elbo", "fit_vae", "fit")},
    "traverse": {"vae": ("traverse",)},
    "edit": {"vae": ("edit",)},
    # gan/game
    "discriminator_loss": {"gan": ("discriminator_loss", "value")},
    "optimal_discriminator": {"gan": ("optimal_discriminator",)},
    "jensen_shannon": {"gan": ("jensen_shannon",)},
    "generator_loss": {"gan": ("generator_loss",)},
    "changes_of_losses": {"gan": ("generator_loss", "tabular_value")},
    # gan/training
    "discriminator_step": {"train": ("fit_gan",)},
    "generator_step": {"train": ("fit_gan",)},
    "gradient_penalty": {"gan": ("gradient_penalty",)},
    # diffusion/process
    "linear_tables": {"diffusion": ("linear_schedule", "Schedule.__post_init__")},
    "q_sample": {"diffusion": ("q_sample", "q_mean_var")},
    "posterior": {"diffusion": _POSTERIOR},
    "loss_weights": {"diffusion": ("loss_weight", "weighted_loss")},
    # diffusion/model
    "time_embedding": {"unet": ("time_embedding",)},
    "adaptive_group_norm": {"unet": ("ada_group_norm", "AdaGN.forward")},
    "denoising_step": {"diffusion": ("eps_loss",), "train": ("fit_diffusion", "update_ema")},
    "ancestral_sample": {"diffusion": _STEPS},
    "ddim_sample": {"diffusion": (*_STEPS, "ddim_sigma")},
}
LOCKED: dict[str, tuple[str, ...]] = {
    exercise: tuple(f"genmodels.{module}.{name}" for module, names in modules.items() for name in names)
    for exercise, modules in _OF_MODULES.items()
}
