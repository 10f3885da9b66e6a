"""Every quantity that the diffusers library has as well, at every t: written by others, from the same papers.

Its tables are float32, which leaves 1 - 0.999 with five digits. Where a formula is compared and not a table, its
scheduler is given its own formula's tables in float64. Its timestep 0 is our t = 1.
"""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from genmodels import diffusion

T = 1000
SCHEDULES = {"linear": diffusion.linear_schedule(), "cosine": diffusion.cosine_schedule()}
THEIR_NAMES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}


def theirs(scheduler_class, name, **settings):
    scheduler = scheduler_class(beta_schedule=THEIR_NAMES[name], **{"clip_sample": False, **settings})
    scheduler.betas = SCHEDULES[name].beta[1:].clone()
    scheduler.alphas = 1.0 - scheduler.betas
    scheduler.alphas_cumprod = torch.cumprod(scheduler.alphas, dim=0)
    scheduler.one = scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    return scheduler


def draw(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def at_every_t(seed=0):
    """One example for each t: t (T,), two tensors (T, 2, 3)."""
    return torch.arange(1, T + 1), draw(T, 2, 3, seed=seed), draw(T, 2, 3, seed=seed + 1)


def close(ours, their):
    torch.testing.assert_close(ours, their, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_tables_agree_as_they_come(name):
    scheduler, schedule = DDPMScheduler(beta_schedule=THEIR_NAMES[name]), SCHEDULES[name]
    for ours, their in ((schedule.beta, scheduler.betas), (schedule.alpha_bar, scheduler.alphas_cumprod)):
        torch.testing.assert_close(ours[1:], their.double(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("variance", "their_type"), [("beta_tilde", "fixed_small"), ("beta", "fixed_large")])
def test_the_variances_agree(name, variance, their_type):
    scheduler = theirs(DDPMScheduler, name, variance_type=their_type)
    their = torch.stack([scheduler._get_variance(t - 1) for t in range(2, T + 1)])  # at t = 1 no noise is added
    torch.testing.assert_close(diffusion.step_variance(SCHEDULES[name], variance)[2:], their, rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_noising_agrees(name):
    t, x0, eps = at_every_t()
    close(diffusion.q_sample(x0, t, eps, SCHEDULES[name]), theirs(DDPMScheduler, name).add_noise(x0, eps, t - 1))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("variance", "their_type"), [("beta_tilde", "fixed_small"), ("beta", "fixed_large")])
def test_the_ancestral_step_and_its_guess_at_x0_agree(name, variance, their_type):
    scheduler, schedule = theirs(DDPMScheduler, name, variance_type=their_type), SCHEDULES[name]
    t, xt, eps_hat = at_every_t()
    steps = [
        scheduler.step(eps_hat[i : i + 1], i, xt[i : i + 1], generator=torch.Generator().manual_seed(i))
        for i in range(T)
    ]
    eps = torch.cat([draw(1, 2, 3, seed=i) for i in range(T)])
    close(diffusion.predict_x0(xt, t, eps_hat, schedule), torch.cat([s.pred_original_sample for s in steps]))
    ours = diffusion.ancestral_step(xt, t, eps_hat, eps, schedule, variance)
    close(ours, torch.cat([s.prev_sample for s in steps]))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("count", [1000, 50, 7])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_ddim_step_agrees_over_every_distance(name, count, eta):
    scheduler, schedule = theirs(DDIMScheduler, name), SCHEDULES[name]
    scheduler.set_timesteps(count)
    t, xt, eps_hat = at_every_t()
    eps = draw(T, 2, 3, seed=2)
    t_prev = (t - T // count).clamp(min=0)
    steps = [
        scheduler.step(e, i, x, eta=eta, variance_noise=noise).prev_sample
        for i, (e, x, noise) in enumerate(zip(eps_hat, xt, eps, strict=True))
    ]
    close(diffusion.ddim_step(xt, t, t_prev, eps_hat, eps, schedule, eta), torch.stack(steps))
    variances = torch.stack([scheduler._get_variance(i, i - T // count) for i in range(T)])
    close(diffusion.ddim_sigma(t, t_prev, schedule, eta), eta * variances.sqrt())


def model(xt, t):
    return torch.sin(3 * xt) + 0.3 * torch.cos(t / 100).reshape(-1, 1, 1)


@pytest.mark.parametrize("clip", [None, (-1.0, 1.0)])
@pytest.mark.parametrize("name", SCHEDULES)
def test_ancestral_sampling_agrees_from_noise_to_data(name, clip):
    scheduler = theirs(DDPMScheduler, name, clip_sample=clip is not None)
    x = xT = draw(4, 2, 3, seed=5)
    generator = torch.Generator().manual_seed(1)
    for t in scheduler.timesteps:
        x = scheduler.step(model(x, (t + 1).repeat(4)), int(t), x, generator=generator).prev_sample
    ours = diffusion.sample(model, (4, 2, 3), SCHEDULES[name], torch.Generator().manual_seed(1), clip=clip, xT=xT)
    close(ours, x)


@pytest.mark.parametrize("clip", [None, (-1.0, 1.0)])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("count", [1, 8, 50])
def test_ddim_sampling_agrees_from_noise_to_data(name, clip, count):
    scheduler = theirs(DDIMScheduler, name, clip_sample=clip is not None, timestep_spacing="trailing")
    scheduler.set_timesteps(count)
    assert diffusion.ddim_times(T, count)[::-1] == [int(t) + 1 for t in scheduler.timesteps]
    x = xT = draw(4, 2, 3, seed=5)
    for t in scheduler.timesteps:
        x = scheduler.step(model(x, (t + 1).repeat(4)), int(t), x, use_clipped_model_output=True).prev_sample
    close(diffusion.ddim_sample(model, (4, 2, 3), SCHEDULES[name], count, clip=clip, xT=xT), x)
