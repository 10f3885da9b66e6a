"""The models once more, in plain PyTorch, written as public tutorials write them: what `genmodels` is timed against.

Nothing here is slowed down, and nothing is tuned: a DataLoader over a TensorDataset, Adam as it comes, eager modules,
`.item()` in every step, schedule tables indexed in every step. What each loop does is what the tutorials of its kind
do; that `genmodels` clips gradients, averages weights, draws its noise from the step's own seed and stops at a loss
that is not finite is work that these loops leave out. `ema=True` gives the diffusion loop the two that change the
weights, clipping and averaging, in the usual way. The networks have the layers of ours, built apart from them and in
the tutorials' manner; a test loads our weights into them and compares the outputs.

A `train_...` function trains in place for a number of steps and returns their losses. Images are (N, 1, side, side).
"""

import copy
import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def batches(x: Tensor, batch_size: int, steps: int, device: torch.device) -> Iterator[Tensor]:
    """So many batches (B, ...) of x (N, ...), epoch after epoch."""
    loader = DataLoader(TensorDataset(x), batch_size=batch_size, shuffle=True)
    step = 0
    while True:
        for (batch,) in loader:
            if step == steps:
                return
            yield batch.to(device)
            step += 1


# --- the variational autoencoder --------------------------------------------------------------------------------------


class VAE(nn.Module):
    """One hidden layer in the encoder and one in the decoder: (B, 1, side, side) → probabilities, mu, logvar."""

    def __init__(self, side: int = 8, latent_dim: int = 8, hidden_dim: int = 256) -> None:
        super().__init__()
        self.side, self.latent_dim = side, latent_dim
        self.fc1 = nn.Linear(side * side, hidden_dim)
        self.fc_mu = nn.Linear(hidden_dim, latent_dim)
        self.fc_logvar = nn.Linear(hidden_dim, latent_dim)
        self.fc3 = nn.Linear(latent_dim, hidden_dim)
        self.fc4 = nn.Linear(hidden_dim, side * side)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = F.silu(self.fc1(x.view(-1, self.side * self.side)))
        return self.fc_mu(h), self.fc_logvar(h)

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z: Tensor) -> Tensor:
        h = F.silu(self.fc3(z))
        return torch.sigmoid(self.fc4(h)).view(-1, 1, self.side, self.side)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def vae_loss(reconstruction: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Minus the bound, summed over the batch: ()."""
    bce = F.binary_cross_entropy(reconstruction, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


def train_vae(model: VAE, x: Tensor, steps: int, batch_size: int = 128, learning_rate: float = 2e-3) -> list[float]:
    """Losses per example, in nats."""
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    model.train()
    for batch in batches(x, batch_size, steps, device):
        optimizer.zero_grad()
        reconstruction, mu, logvar = model(batch)
        loss = vae_loss(reconstruction, batch, mu, logvar)
        loss.backward()
        optimizer.step()
        losses.append(loss.item() / len(batch))
    return losses


@torch.no_grad()
def sample_vae(model: VAE, n: int) -> Tensor:
    """Probabilities of white, (n, 1, side, side)."""
    model.eval()
    z = torch.randn(n, model.latent_dim, device=next(model.parameters()).device)
    return model.decode(z).cpu()


# --- adversarial networks ---------------------------------------------------------------------------------------------


class Generator(nn.Module):
    """(B, latent_dim) → (B, 1, side, side) in [-1, 1], by two transposed convolutions."""

    def __init__(self, side: int = 8, latent_dim: int = 16, width: int = 48) -> None:
        super().__init__()
        self.small, self.width = side // 4, width
        self.l1 = nn.Linear(latent_dim, 2 * width * self.small**2)
        self.blocks = nn.Sequential(
            nn.BatchNorm2d(2 * width),
            nn.ReLU(True),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
            nn.ConvTranspose2d(width, 1, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        out = self.l1(z).view(len(z), 2 * self.width, self.small, self.small)
        return self.blocks(out)


class Discriminator(nn.Module):
    """(B, 1, side, side) → (B,): the probability of a real image, or with ``critic`` a number without bounds.

    A critic has no batch normalisation, which would let the gradient penalty of one image depend on the others.
    """

    def __init__(self, side: int = 8, width: int = 48, critic: bool = False) -> None:
        super().__init__()
        norm = nn.Identity() if critic else nn.BatchNorm2d(2 * width)
        self.main = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            norm,
            nn.LeakyReLU(0.2, inplace=True),
            nn.Flatten(),
            nn.Linear(2 * width * (side // 4) ** 2, 1),
        )
        self.last = nn.Identity() if critic else nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.main(x)).view(-1)


def train_dcgan(
    generator: Generator,
    discriminator: Discriminator,
    x: Tensor,
    steps: int,
    latent_dim: int = 16,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
) -> list[tuple[float, float]]:
    """Losses of the discriminator and of the generator. One batch of fakes serves both, as in the tutorials."""
    device = next(generator.parameters()).device
    criterion = nn.BCELoss()
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=learning_rate, betas=(0.5, 0.999))
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=learning_rate, betas=(0.5, 0.999))
    history, means = [], []
    generator.train(), discriminator.train()
    for real in batches(x, batch_size, steps, device):
        # The discriminator: all real, then all fake.
        discriminator.zero_grad()
        label = torch.full((len(real),), 1.0, device=device)
        output = discriminator(real)
        error_real = criterion(output, label)
        error_real.backward()
        d_x = output.mean().item()
        noise = torch.randn(len(real), latent_dim, device=device)
        fake = generator(noise)
        label.fill_(0.0)
        output = discriminator(fake.detach())
        error_fake = criterion(output, label)
        error_fake.backward()
        d_g_z1 = output.mean().item()
        error_d = error_real + error_fake
        optimizer_d.step()
        # The generator: fakes that should pass for real.
        generator.zero_grad()
        label.fill_(1.0)
        output = discriminator(fake)
        error_g = criterion(output, label)
        error_g.backward()
        d_g_z2 = output.mean().item()
        optimizer_g.step()
        history.append((error_d.item(), error_g.item()))
        means.append((d_x, d_g_z1, d_g_z2))
    return history


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """The mean of (‖grad critic‖ - 1)² between real and fake images: ()."""
    alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
    interpolates = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    d_interpolates = critic(interpolates)
    gradients = torch.autograd.grad(
        outputs=d_interpolates,
        inputs=interpolates,
        grad_outputs=torch.ones_like(d_interpolates),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(len(gradients), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


def train_wgan_gp(
    generator: Generator,
    critic: Discriminator,
    x: Tensor,
    steps: int,
    latent_dim: int = 16,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    n_critic: int = 5,
    weight: float = 10.0,
) -> list[tuple[float, float]]:
    """Losses of the critic and of the generator, in each step of the generator; the critic takes n_critic for it."""
    device = next(generator.parameters()).device
    optimizer_d = torch.optim.Adam(critic.parameters(), lr=learning_rate, betas=(0.5, 0.999))
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=learning_rate, betas=(0.5, 0.999))
    history = []
    generator.train(), critic.train()
    for i, real in enumerate(batches(x, batch_size, steps * n_critic, device)):
        optimizer_d.zero_grad()
        z = torch.randn(len(real), latent_dim, device=device)
        fake = generator(z).detach()
        penalty = gradient_penalty(critic, real, fake)
        loss_d = -torch.mean(critic(real)) + torch.mean(critic(fake)) + weight * penalty
        loss_d.backward()
        optimizer_d.step()
        if (i + 1) % n_critic == 0:
            optimizer_g.zero_grad()
            loss_g = -torch.mean(critic(generator(z)))
            loss_g.backward()
            optimizer_g.step()
            history.append((loss_d.item(), loss_g.item()))
    return history


@torch.no_grad()
def sample_gan(generator: Generator, n: int, latent_dim: int = 16) -> Tensor:
    """(n, 1, side, side) in [-1, 1]."""
    generator.eval()
    z = torch.randn(n, latent_dim, device=next(generator.parameters()).device)
    return generator(z).cpu()


# --- diffusion --------------------------------------------------------------------------------------------------------


class SinusoidalPositionEmbeddings(nn.Module):
    """(B,) → (B, dim)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, time: Tensor) -> Tensor:
        half = self.dim // 2
        scale = math.log(10000) / half
        frequencies = torch.exp(torch.arange(half, device=time.device) * -scale)
        angles = time[:, None] * frequencies[None, :]
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class ResnetBlock(nn.Module):
    """(B, dim, H, W), (B, time_dim) → (B, dim_out, H, W), with a scale and a shift from the time."""

    def __init__(self, dim: int, dim_out: int, time_dim: int, groups: int = 8) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, dim)
        self.conv1 = nn.Conv2d(dim, dim_out, 3, padding=1)
        self.mlp = nn.Linear(time_dim, dim_out * 2)
        self.norm2 = nn.GroupNorm(groups, dim_out, affine=False)
        self.conv2 = nn.Conv2d(dim_out, dim_out, 3, padding=1)
        self.act = nn.SiLU()
        self.res_conv = nn.Conv2d(dim, dim_out, 1) if dim != dim_out else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(self.act(self.norm1(x)))
        scale, shift = self.mlp(time)[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (scale + 1) + shift
        return self.conv2(self.act(h)) + self.res_conv(x)


class Attention(nn.Module):
    """(B, C, H, W) → (B, C, H, W), one head."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.mha = nn.MultiheadAttention(channels, 1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        tokens = self.norm(x).view(b, c, h * w).swapaxes(1, 2)
        value, _ = self.mha(tokens, tokens, tokens)
        return x + value.swapaxes(2, 1).view(b, c, h, w)


class Unet(nn.Module):
    """(B, 1, side, side), (B,) → (B, 1, side, side): the layers and the parameters of `genmodels.unet.UNet`."""

    def __init__(self, dim: int = 32, dim_mults: tuple[int, ...] = (1, 2), channels: int = 1) -> None:
        super().__init__()
        dims = [dim * m for m in dim_mults]
        in_out = list(itertools.pairwise(dims))
        time_dim = dim * 4
        self.init_conv = nn.Conv2d(channels, dims[0], 3, padding=1)
        self.time_mlp = nn.Sequential(
            SinusoidalPositionEmbeddings(dim),
            nn.Linear(dim, time_dim),
            nn.SiLU(),
            nn.Linear(time_dim, time_dim),
            nn.SiLU(),
        )
        self.downs = nn.ModuleList()
        for dim_in, dim_out in in_out:
            block = ResnetBlock(dim_in, dim_in, time_dim)
            self.downs.append(nn.ModuleList([block, nn.Conv2d(dim_in, dim_out, 3, stride=2, padding=1)]))
        self.mid_block1 = ResnetBlock(dims[-1], dims[-1], time_dim)
        self.mid_attn = Attention(dims[-1])
        self.mid_block2 = ResnetBlock(dims[-1], dims[-1], time_dim)
        self.ups = nn.ModuleList()
        for dim_in, dim_out in reversed(in_out):
            double = nn.Upsample(scale_factor=2, mode="nearest")
            upsample = nn.Sequential(double, nn.Conv2d(dim_out, dim_in, 3, padding=1))
            self.ups.append(nn.ModuleList([upsample, ResnetBlock(dim_in * 2, dim_in, time_dim)]))
        self.final_norm = nn.GroupNorm(8, dims[0])
        self.final_conv = nn.Conv2d(dims[0], channels, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        x = self.init_conv(x)
        t = self.time_mlp(time)
        h = []
        for block, downsample in self.downs:
            x = block(x, t)
            h.append(x)
            x = downsample(x)
        x = self.mid_block1(x, t)
        x = self.mid_attn(x)
        x = self.mid_block2(x, t)
        for upsample, block in self.ups:
            x = upsample(x)
            x = torch.cat((x, h.pop()), dim=1)
            x = block(x, t)
        return self.final_conv(F.silu(self.final_norm(x)))


def cosine_beta_schedule(timesteps: int, s: float = 0.008) -> Tensor:
    """(timesteps,)."""
    x = torch.linspace(0, timesteps, timesteps + 1)
    alphas_cumprod = torch.cos(((x / timesteps) + s) / (1 + s) * torch.pi * 0.5) ** 2
    alphas_cumprod = alphas_cumprod / alphas_cumprod[0]
    betas = 1 - (alphas_cumprod[1:] / alphas_cumprod[:-1])
    return torch.clip(betas, 0.0001, 0.999)


def extract(a: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """The entries of a table (T,) at t (B,), to be multiplied with x (B, ...): (B, 1, ...)."""
    out = a.gather(-1, t)
    return out.reshape(len(t), *((1,) * (x.ndim - 1)))


class Diffusion:
    """The tables of T steps, on a device, and what is done with them. Times run from 0 to T - 1."""

    def __init__(self, timesteps: int = 200, device: torch.device | str = "cpu") -> None:
        self.timesteps = timesteps
        self.betas = cosine_beta_schedule(timesteps).to(device)
        self.alphas = 1.0 - self.betas
        self.alphas_cumprod = torch.cumprod(self.alphas, dim=0)
        alphas_cumprod_prev = F.pad(self.alphas_cumprod[:-1], (1, 0), value=1.0)
        self.sqrt_recip_alphas = torch.sqrt(1.0 / self.alphas)
        self.sqrt_alphas_cumprod = torch.sqrt(self.alphas_cumprod)
        self.sqrt_one_minus_alphas_cumprod = torch.sqrt(1.0 - self.alphas_cumprod)
        self.posterior_variance = self.betas * (1.0 - alphas_cumprod_prev) / (1.0 - self.alphas_cumprod)

    def q_sample(self, x_start: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t: (B, ...), (B,), (B, ...) → (B, ...)."""
        signal = extract(self.sqrt_alphas_cumprod, t, x_start) * x_start
        return signal + extract(self.sqrt_one_minus_alphas_cumprod, t, x_start) * noise

    @torch.no_grad()
    def p_sample(self, model: nn.Module, x: Tensor, t: Tensor, t_index: int) -> Tensor:
        """One step back: (B, ...) → (B, ...)."""
        betas_t = extract(self.betas, t, x)
        sqrt_one_minus = extract(self.sqrt_one_minus_alphas_cumprod, t, x)
        sqrt_recip = extract(self.sqrt_recip_alphas, t, x)
        mean = sqrt_recip * (x - betas_t * model(x, t) / sqrt_one_minus)
        if t_index == 0:
            return mean
        return mean + torch.sqrt(extract(self.posterior_variance, t, x)) * torch.randn_like(x)

    @torch.no_grad()
    def sample(self, model: nn.Module, shape: tuple[int, ...]) -> Tensor:
        """All steps back, from noise to images of this shape."""
        model.eval()
        device = next(model.parameters()).device
        image = torch.randn(shape, device=device)
        for i in reversed(range(self.timesteps)):
            t = torch.full((shape[0],), i, device=device, dtype=torch.long)
            image = self.p_sample(model, image, t, i)
        return image.cpu()

    @torch.no_grad()
    def ddim_sample(self, model: nn.Module, shape: tuple[int, ...], steps: int = 50) -> Tensor:
        """So many steps back without noise (eta = 0), the guess at x_0 kept in [-1, 1]."""
        model.eval()
        device = next(model.parameters()).device
        times = list(reversed(torch.linspace(-1, self.timesteps - 1, steps=steps + 1).int().tolist()))
        image = torch.randn(shape, device=device)
        for time, time_next in itertools.pairwise(times):
            t = torch.full((shape[0],), time, device=device, dtype=torch.long)
            pred_noise = model(image, t)
            alpha = self.alphas_cumprod[time]
            x_start = (image - torch.sqrt(1 - alpha) * pred_noise) / torch.sqrt(alpha)
            x_start.clamp_(-1.0, 1.0)
            if time_next < 0:
                image = x_start
                continue
            pred_noise = (image - torch.sqrt(alpha) * x_start) / torch.sqrt(1 - alpha)
            alpha_next = self.alphas_cumprod[time_next]
            image = x_start * alpha_next.sqrt() + torch.sqrt(1 - alpha_next) * pred_noise
        return image.cpu()


class EMA:
    """An average of weights, as the tutorials that have one write it."""

    def __init__(self, beta: float) -> None:
        self.beta = beta

    @torch.no_grad()
    def update_model_average(self, ema_model: nn.Module, current_model: nn.Module) -> None:
        for ema_params, current_params in zip(ema_model.parameters(), current_model.parameters(), strict=True):
            ema_params.data = ema_params.data * self.beta + (1 - self.beta) * current_params.data


def train_diffusion(
    model: nn.Module,
    x: Tensor,
    diffusion: Diffusion,
    steps: int,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    ema: bool = False,
) -> list[float]:
    """Losses, means over pixels. With ``ema`` the gradient is clipped to length 1 and the weights are averaged."""
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    average, ema_model = EMA(0.999), copy.deepcopy(model).eval().requires_grad_(False) if ema else None
    losses = []
    model.train()
    for batch in batches(x, batch_size, steps, device):
        optimizer.zero_grad()
        t = torch.randint(0, diffusion.timesteps, (len(batch),), device=device).long()
        noise = torch.randn_like(batch)
        predicted = model(diffusion.q_sample(batch, t, noise), t)
        loss = F.mse_loss(noise, predicted)
        loss.backward()
        if ema_model is not None:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if ema_model is not None:
            average.update_model_average(ema_model, model)
        losses.append(loss.item())
    if ema_model is not None:
        model.load_state_dict(ema_model.state_dict())
    return losses
