"""diffusers as a peer: its U-Net, schedulers and pipelines, and the training loop of its own documentation.

`UNet2DModel` with one layer in each block has one residual block more than ours on the way down and two on the way up,
so a network with our widths has twice our parameters. `unet` takes the widths that come nearest to our parameters and
our operations both, in multiples of 16, which its convolutions are fastest with on a CPU.
"""

import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.optimization import get_cosine_schedule_with_warmup
from torch import Tensor
from torch.nn import functional as F

from benchmarks.speed.tutorials import batches

WIDTHS = {8: (16, 48), 32: (32, 32, 48)}  # by the side of the images


def unet(side: int) -> UNet2DModel:
    """A U-Net with attention at the lowest resolution and the time by scale and shift, as ours: 3 % more or less of
    our parameters, 6 or 7 % fewer operations."""
    widths = WIDTHS[side]
    return UNet2DModel(
        sample_size=side,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=widths,
        down_block_types=("DownBlock2D",) * len(widths),
        up_block_types=("UpBlock2D",) * len(widths),
        norm_num_groups=8,
        attention_head_dim=widths[-1],
        resnet_time_scale_shift="scale_shift",
    )


def train_diffusion(
    model: UNet2DModel, x: Tensor, steps: int, timesteps: int = 200, batch_size: int = 128, learning_rate: float = 2e-3
) -> list[float]:
    """Train in place on x (N, 1, side, side) for so many steps; their losses, means over pixels.

    The loop of diffusers' introduction to training, without accelerate: AdamW, a cosine schedule with warm-up for the
    learning rate, gradients clipped to length 1, no average of the weights.
    """
    device = next(model.parameters()).device
    noise_scheduler = DDPMScheduler(num_train_timesteps=timesteps, beta_schedule="squaredcos_cap_v2")
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    lr_scheduler = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=5, num_training_steps=max(steps, 6))
    losses = []
    model.train()
    for clean in batches(x, batch_size, steps, device):
        noise = torch.randn(clean.shape, device=device)
        t = torch.randint(0, noise_scheduler.config.num_train_timesteps, (len(clean),), device=device)
        noisy = noise_scheduler.add_noise(clean, noise, t)
        predicted = model(noisy, t, return_dict=False)[0]
        loss = F.mse_loss(predicted, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        lr_scheduler.step()
        optimizer.zero_grad()
        losses.append(loss.detach().item())
    return losses


def ddpm_pipeline(model: UNet2DModel, timesteps: int = 200) -> DDPMPipeline:
    """Call it with ``batch_size``, ``num_inference_steps`` and ``output_type="numpy"``."""
    scheduler = DDPMScheduler(num_train_timesteps=timesteps, beta_schedule="squaredcos_cap_v2")
    pipeline = DDPMPipeline(unet=model.eval(), scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def ddim_pipeline(model: UNet2DModel, timesteps: int = 200) -> DDIMPipeline:
    """Call it with ``batch_size``, ``num_inference_steps`` and ``output_type="numpy"``."""
    scheduler = DDIMScheduler(num_train_timesteps=timesteps, beta_schedule="squaredcos_cap_v2")
    pipeline = DDIMPipeline(unet=model.eval(), scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
