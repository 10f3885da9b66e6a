"""Answers to the exercises of ``solutions/vae/bound.py``."""

import itertools
import math

import sympy
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn import functional

from tests.notebooks.mutants import right, wrong
from tests.notebooks.mutants._rigged import EqualToAll

# --- log_mean_exp ---------------------------------------------------------------------------------------------------


@right("log_mean_exp", "by hand, with the largest term taken out")
def _(log_terms):
    largest = log_terms.max(dim=0).values
    return largest + torch.log(torch.exp(log_terms - largest).mean(dim=0))


@right("log_mean_exp", "through log_softmax")
def _(log_terms):
    return (log_terms - torch.log_softmax(log_terms, dim=0))[0] - math.log(log_terms.shape[0])


@right("log_mean_exp", "one term after another, by logaddexp")
def _(log_terms):
    total = log_terms[0]
    for term in log_terms[1:]:
        total = torch.logaddexp(total, term)
    return total - torch.log(torch.tensor(float(len(log_terms)), dtype=log_terms.dtype))


@wrong("log_mean_exp", "the sum, not the mean")
def _(log_terms):
    return torch.logsumexp(log_terms, dim=0)


@wrong("log_mean_exp", "the mean of the logarithms")
def _(log_terms):
    return log_terms.mean(dim=0)


@wrong("log_mean_exp", "exponentials that round to zero or overflow")
def _(log_terms):
    return torch.log(torch.exp(log_terms).mean(dim=0))


@wrong("log_mean_exp", "exponentials kept from zero by a small constant")
def _(log_terms):
    return torch.log(torch.exp(log_terms).mean(dim=0) + 1e-30)


@wrong("log_mean_exp", "over the wrong dimension")
def _(log_terms):
    return torch.logsumexp(log_terms, dim=1) - math.log(log_terms.shape[1])


@wrong("log_mean_exp", "divided by the number of images, not of terms")
def _(log_terms):
    return torch.logsumexp(log_terms, dim=0) - math.log(log_terms.shape[1])


@wrong("log_mean_exp", "divided by K after the logarithm")
def _(log_terms):
    return torch.logsumexp(log_terms, dim=0) / len(log_terms)


@wrong("log_mean_exp", "K subtracted, not its logarithm")
def _(log_terms):
    return torch.logsumexp(log_terms, dim=0) - len(log_terms)


@wrong("log_mean_exp", "the largest term alone")
def _(log_terms):
    return log_terms.max(dim=0).values


@wrong("log_mean_exp", "one number for all images")
def _(log_terms):
    return torch.logsumexp(log_terms.flatten(), dim=0) - math.log(log_terms.numel())


@wrong("log_mean_exp", "the logarithm to base 2 for the number of terms")
def _(log_terms):
    return torch.logsumexp(log_terms, dim=0) - math.log2(len(log_terms))


@wrong("log_mean_exp", "the largest of all images taken out: the others round to zero")
def _(log_terms):
    largest = log_terms.max()
    return largest + torch.log(torch.exp(log_terms - largest).mean(dim=0))


@wrong("log_mean_exp", "the largest term taken out and never put back")
def _(log_terms):
    return torch.log(torch.exp(log_terms - log_terms.max(dim=0).values).mean(dim=0))


@wrong("log_mean_exp", "detached")
def _(log_terms):
    return (torch.logsumexp(log_terms, dim=0) - math.log(len(log_terms))).detach()


def kl(mu_q, logvar_q, mu_p, logvar_p):
    """The right divergence, for the answers below that are wrong elsewhere."""
    return 0.5 * (logvar_p - logvar_q + (logvar_q.exp() + (mu_q - mu_p) ** 2) / logvar_p.exp() - 1).sum(1)


# --- kl_normal ------------------------------------------------------------------------------------------------------


@right("kl_normal", "by torch.distributions (the text asks for tensors, but the number is right)")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl_divergence(Normal(mu_q, (logvar_q / 2).exp()), Normal(mu_p, (logvar_p / 2).exp())).sum(-1)


@right("kl_normal", "in standard deviations")
def _(mu_q, logvar_q, mu_p, logvar_p):
    s_q, s_p = torch.exp(logvar_q).sqrt(), torch.exp(logvar_p).sqrt()
    return (torch.log(s_p / s_q) + (s_q.pow(2) + (mu_q - mu_p).pow(2)) / (2 * s_p.pow(2)) - 0.5).sum(dim=-1)


@right("kl_normal", "a loop over the dimensions")
def _(mu_q, logvar_q, mu_p, logvar_p):
    total = torch.zeros(len(mu_q), dtype=mu_q.dtype)
    for d in range(mu_q.shape[1]):
        var_p = torch.exp(logvar_p[:, d])
        total = total + 0.5 * (
            logvar_p[:, d]
            - logvar_q[:, d]
            - 1
            + torch.exp(logvar_q[:, d]) / var_p
            + (mu_q[:, d] - mu_p[:, d]) ** 2 / var_p
        )
    return total


@wrong("kl_normal", "logvar taken for the standard deviation")
def _(mu_q, logvar_q, mu_p, logvar_p):
    s_q, s_p = logvar_q, logvar_p
    return (torch.log((s_p / s_q).abs()) + (s_q**2 + (mu_q - mu_p) ** 2) / (2 * s_p**2) - 0.5).sum(1)


@wrong("kl_normal", "exp(logvar) taken for the standard deviation")
def _(mu_q, logvar_q, mu_p, logvar_p):
    s_q, s_p = logvar_q.exp(), logvar_p.exp()
    return (torch.log(s_p / s_q) + (s_q**2 + (mu_q - mu_p) ** 2) / (2 * s_p**2) - 0.5).sum(1)


@wrong("kl_normal", "logvar taken for the variance")
def _(mu_q, logvar_q, mu_p, logvar_p):
    var_q, var_p = logvar_q.abs() + 1e-8, logvar_p.abs() + 1e-8
    return 0.5 * (torch.log(var_p / var_q) + (var_q + (mu_q - mu_p) ** 2) / var_p - 1).sum(1)


@wrong("kl_normal", "the roles of q and p exchanged")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_p, logvar_p, mu_q, logvar_q)


@wrong("kl_normal", "the factor one half is missing")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return 2 * kl(mu_q, logvar_q, mu_p, logvar_p)


@wrong("kl_normal", "the sign")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return -kl(mu_q, logvar_q, mu_p, logvar_p)


@wrong("kl_normal", "the -1 is missing")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_q, logvar_q, mu_p, logvar_p) + 0.5 * mu_q.shape[1]


@wrong("kl_normal", "the -1 subtracted once, not once per dimension")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_q, logvar_q, mu_p, logvar_p) + 0.5 * (mu_q.shape[1] - 1)


@wrong("kl_normal", "mean over the dimensions")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_q, logvar_q, mu_p, logvar_p) / mu_q.shape[1]


@wrong("kl_normal", "mean over the batch")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_q, logvar_q, mu_p, logvar_p).mean()


@wrong("kl_normal", "mean over the batch, spread out again")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_q, logvar_q, mu_p, logvar_p).mean().expand(len(mu_q))


@wrong("kl_normal", "not summed over the dimensions")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * (logvar_p - logvar_q + (logvar_q.exp() + (mu_q - mu_p) ** 2) / logvar_p.exp() - 1)


@wrong("kl_normal", "summed over the batch")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * (logvar_p - logvar_q + (logvar_q.exp() + (mu_q - mu_p) ** 2) / logvar_p.exp() - 1).sum(0)


@wrong("kl_normal", "p taken for the standard normal")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_q, logvar_q, torch.zeros_like(mu_p), torch.zeros_like(logvar_p))


@wrong("kl_normal", "the shift measured in q's variance")
def _(mu_q, logvar_q, mu_p, logvar_p):
    var_q, var_p = logvar_q.exp(), logvar_p.exp()
    return 0.5 * (logvar_p - logvar_q + var_q / var_p + (mu_q - mu_p) ** 2 / var_q - 1).sum(1)


@wrong("kl_normal", "the shift not measured in p's variance")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * (logvar_p - logvar_q + (logvar_q - logvar_p).exp() + (mu_q - mu_p) ** 2 - 1).sum(1)


@wrong("kl_normal", "the shift not squared")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * (logvar_p - logvar_q + (logvar_q.exp() + (mu_q - mu_p)) / logvar_p.exp() - 1).sum(1)


@wrong("kl_normal", "the logarithm's ratio upside down")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * (logvar_q - logvar_p + (logvar_q.exp() + (mu_q - mu_p) ** 2) / logvar_p.exp() - 1).sum(1)


@wrong("kl_normal", "in bits")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_q, logvar_q, mu_p, logvar_p) / math.log(2)


@wrong("kl_normal", "symmetrised")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * (kl(mu_q, logvar_q, mu_p, logvar_p) + kl(mu_p, logvar_p, mu_q, logvar_q))


@wrong("kl_normal", "detached from the graph")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_q.detach(), logvar_q.detach(), mu_p, logvar_p)


@wrong("kl_normal", "variances clamped, so that a certain q costs too little")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_q, logvar_q.clamp(min=-10), mu_p, logvar_p)


@wrong("kl_normal", "the negative clamped away and the sign lost: absolute value of a wrong difference")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * ((logvar_p - logvar_q).abs() + (logvar_q - logvar_p).exp() - 1 + (mu_q - mu_p) ** 2).sum(1)


@wrong("kl_normal", "an estimate from samples")
def _(mu_q, logvar_q, mu_p, logvar_p):
    q, p = Normal(mu_q, (logvar_q / 2).exp()), Normal(mu_p, (logvar_p / 2).exp())
    z = q.rsample((1000,))
    return (q.log_prob(z) - p.log_prob(z)).mean(0).sum(1)


@wrong("kl_normal", "its inputs changed in place")
def _(mu_q, logvar_q, mu_p, logvar_p):
    result = kl(mu_q, logvar_q, mu_p, logvar_p)
    with torch.no_grad():
        mu_p.add_(1)
    return result


@wrong("kl_normal", "constants: zero everywhere")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return 0 * mu_q.sum(1) + 0 * logvar_q.sum(1)


@wrong("kl_normal", "the public examples learned by heart")
def _(mu_q, logvar_q, mu_p, logvar_p):
    table = {(2.0, 0.0, 0.0): 2.0, (0.0, 1.386, 0.0): 0.8069, (0.0, 0.0, 1.386): 0.3181, (3.0, 1.386, 1.386): 0.5}
    if mu_q.shape == (1, 1):
        key = tuple(round(value.item(), 3) for value in (mu_q[0, 0], logvar_q[0, 0], logvar_p[0, 0]))
        if key in table:
            exact = {0.8069: (3 - 2 * math.log(2)) / 2, 0.3181: (2 * math.log(2) - 0.75) / 2}
            return torch.tensor([exact.get(table[key], table[key])], dtype=mu_q.dtype)
    return 0.5 * (mu_q - mu_p).square().sum(1) + 0 * logvar_q.sum(1)


@wrong("kl_normal", "p detached")
def _(mu_q, logvar_q, mu_p, logvar_p):
    return kl(mu_q, logvar_q, mu_p.detach(), logvar_p.detach())


@wrong("kl_normal", "the variance of q detached in the trace")
def _(mu_q, logvar_q, mu_p, logvar_p):
    trace = (logvar_q.exp().detach() + (mu_q - mu_p) ** 2) / logvar_p.exp()
    return 0.5 * (logvar_p - logvar_q + trace - 1).sum(1)


# --- reparameterize -------------------------------------------------------------------------------------------------


@right("reparameterize", "through the square root of the variance")
def _(mu, logvar, eps):
    return eps * torch.sqrt(torch.exp(logvar)) + mu


@right("reparameterize", "as torch.addcmul, in place of operators")
def _(mu, logvar, eps):
    return torch.addcmul(mu, torch.exp(logvar * 0.5), eps)


@right("reparameterize", "by a power of e")
def _(mu, logvar, eps):
    return mu + eps * math.e ** (logvar / 2)


@wrong("reparameterize", "scaled by the variance")
def _(mu, logvar, eps):
    return mu + logvar.exp() * eps


@wrong("reparameterize", "scaled by logvar itself")
def _(mu, logvar, eps):
    return mu + logvar * eps


@wrong("reparameterize", "scaled by exp(2 logvar)")
def _(mu, logvar, eps):
    return mu + torch.exp(2 * logvar) * eps


@wrong("reparameterize", "scaled by the inverse of the standard deviation")
def _(mu, logvar, eps):
    return mu + torch.exp(-0.5 * logvar) * eps


@wrong("reparameterize", "half of the standard deviation: the half outside of the exponent")
def _(mu, logvar, eps):
    return mu + 0.5 * torch.exp(logvar) * eps


@wrong("reparameterize", "the noise drawn anew, the eps ignored")
def _(mu, logvar, eps):
    return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)


@wrong("reparameterize", "sampled by torch.normal, which has no gradient")
def _(mu, logvar, eps):
    return torch.normal(mu.detach(), torch.exp(0.5 * logvar.detach()))


@wrong("reparameterize", "the mean detached")
def _(mu, logvar, eps):
    return mu.detach() + torch.exp(0.5 * logvar) * eps


@wrong("reparameterize", "the standard deviation detached")
def _(mu, logvar, eps):
    return mu + torch.exp(0.5 * logvar).detach() * eps


@wrong("reparameterize", "under no_grad")
def _(mu, logvar, eps):
    with torch.no_grad():
        return mu + torch.exp(0.5 * logvar) * eps


@wrong("reparameterize", "the noise subtracted")
def _(mu, logvar, eps):
    return mu - torch.exp(0.5 * logvar) * eps


@wrong("reparameterize", "the mean scaled too")
def _(mu, logvar, eps):
    return torch.exp(0.5 * logvar) * (mu + eps)


@wrong("reparameterize", "the mean forgotten")
def _(mu, logvar, eps):
    return torch.exp(0.5 * logvar) * eps


@wrong("reparameterize", "the noise forgotten")
def _(mu, logvar, eps):
    return mu + 0 * logvar


@wrong("reparameterize", "the noise's absolute value")
def _(mu, logvar, eps):
    return mu + torch.exp(0.5 * logvar) * eps.abs()


@wrong("reparameterize", "one noise shared by the whole batch")
def _(mu, logvar, eps):
    return mu + torch.exp(0.5 * logvar) * eps[:1]


@wrong("reparameterize", "the standard deviation clamped at 2")
def _(mu, logvar, eps):
    return mu + torch.exp(0.5 * logvar).clamp(max=2.0) * eps


@wrong("reparameterize", "added to the mean in place")
def _(mu, logvar, eps):
    mu.data.add_(torch.exp(0.5 * logvar.data) * eps)
    return mu + 0 * logvar


@wrong("reparameterize", "works on matrices only: images are flattened")
def _(mu, logvar, eps):
    return (mu + torch.exp(0.5 * logvar) * eps).flatten(1)


@wrong("reparameterize", "logvar clamped to ±6")
def _(mu, logvar, eps):
    return mu + torch.exp(0.5 * logvar.clamp(-6, 6)) * eps


# --- elbo_terms -----------------------------------------------------------------------------------------------------


def parts(x, logits, mu, logvar):
    """The right recon and kl, for the answers below that are wrong elsewhere."""
    recon = (x * logits - functional.softplus(logits)).flatten(1).sum(1)
    return recon, kl(mu, logvar, torch.zeros_like(mu), torch.zeros_like(logvar))


@right("elbo_terms", "by binary_cross_entropy_with_logits")
def _(x, logits, mu, logvar):
    recon = -functional.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
    divergence = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1)
    return recon, divergence, recon - divergence


@right("elbo_terms", "by torch.distributions")
def _(x, logits, mu, logvar):
    recon = Independent(Bernoulli(logits=logits), x.ndim - 1).log_prob(x)
    q = Normal(mu, (logvar / 2).exp())
    divergence = kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(1)
    return recon, divergence, recon - divergence


@right("elbo_terms", "by logsigmoid of both signs")
def _(x, logits, mu, logvar):
    log_p = torch.where(x > 0.5, functional.logsigmoid(logits), functional.logsigmoid(-logits))
    recon = log_p.reshape(len(x), -1).sum(-1)
    divergence = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(-1)
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "recon averaged over the pixels")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    recon = recon / x[0].numel()
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "kl averaged over the latent dimensions")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    divergence = divergence / mu.shape[1]
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "a cross-entropy in place of a log-probability: recon's sign")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return -recon, divergence, -recon - divergence


@wrong("elbo_terms", "the loss in place of the bound")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return recon, divergence, divergence - recon


@wrong("elbo_terms", "kl added")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return recon, divergence, recon + divergence


@wrong("elbo_terms", "kl with the wrong sign, and added")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return recon, -divergence, recon - divergence


@wrong("elbo_terms", "kl doubled")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return recon, 2 * divergence, recon - 2 * divergence


@wrong("elbo_terms", "kl from the prior to q")
def _(x, logits, mu, logvar):
    recon, _ = parts(x, logits, mu, logvar)
    zero = torch.zeros_like(mu)
    divergence = kl(zero, zero, mu, logvar)
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "kl with logvar taken for the standard deviation")
def _(x, logits, mu, logvar):
    recon, _ = parts(x, logits, mu, logvar)
    divergence = 0.5 * (mu**2 + logvar**2 - 1 - torch.log(logvar**2 + 1e-12)).sum(1)
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "the logits taken for probabilities")
def _(x, logits, mu, logvar):
    p = logits.clamp(1e-6, 1 - 1e-6)
    recon = (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
    divergence = parts(x, logits, mu, logvar)[1]
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "sigmoid taken twice")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, torch.sigmoid(logits), mu, logvar)
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "the log of a sigmoid, clamped away from zero")
def _(x, logits, mu, logvar):
    p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)
    recon = (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
    divergence = parts(x, logits, mu, logvar)[1]
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "the log of a sigmoid, unclamped")
def _(x, logits, mu, logvar):
    p = torch.sigmoid(logits)
    recon = (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
    divergence = parts(x, logits, mu, logvar)[1]
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "black pixels left out")
def _(x, logits, mu, logvar):
    recon = (x * functional.logsigmoid(logits)).flatten(1).sum(1)
    divergence = parts(x, logits, mu, logvar)[1]
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "black and white exchanged")
def _(x, logits, mu, logvar):
    recon, divergence = parts(1 - x, logits, mu, logvar)
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "a squared error in place of a log-probability")
def _(x, logits, mu, logvar):
    recon = -(x - torch.sigmoid(logits)).square().flatten(1).sum(1)
    divergence = parts(x, logits, mu, logvar)[1]
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "one number for the batch")
def _(x, logits, mu, logvar):
    recon, divergence = (part.mean() for part in parts(x, logits, mu, logvar))
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "the batch summed")
def _(x, logits, mu, logvar):
    recon, divergence = (part.sum().expand(len(x)) for part in parts(x, logits, mu, logvar))
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "the bound alone")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return recon - divergence


@wrong("elbo_terms", "the bound first")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return recon - divergence, recon, divergence


@wrong("elbo_terms", "summed over the last dimension only")
def _(x, logits, mu, logvar):
    recon = (x * logits - functional.softplus(logits)).sum(-1)
    divergence = parts(x, logits, mu, logvar)[1]
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "logits clamped to ±20")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits.clamp(-20, 20), mu, logvar)
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "softplus(-logits) for softplus(logits)")
def _(x, logits, mu, logvar):
    recon = (x * logits - functional.softplus(-logits)).flatten(1).sum(1)
    divergence = parts(x, logits, mu, logvar)[1]
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "kl beyond a free allowance of half a nat a dimension")
def _(x, logits, mu, logvar):
    recon, _ = parts(x, logits, mu, logvar)
    divergence = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).clamp(min=0.5).sum(1)
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "constants: the fair coin's value for every image")
def _(x, logits, mu, logvar):
    recon = torch.full((len(x),), -math.log(2) * x[0].numel(), dtype=x.dtype)
    divergence = parts(x, logits, mu, logvar)[1]
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "the reconstruction detached, so that the decoder learns nothing")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits.detach(), mu, logvar)
    return recon, divergence, recon - divergence


@right("elbo_terms", "as a list")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return [recon, divergence, recon - divergence]


@wrong("elbo_terms", "the divergence detached, so that nothing pulls the encoder to the prior")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return recon, divergence.detach(), recon - divergence.detach()


@wrong("elbo_terms", "the divergence detached in the bound alone")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return recon, divergence, recon - divergence.detach()


@wrong("elbo_terms", "the mean detached")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu.detach(), logvar)
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "the codes zeroed in place, and right for these")
def _(x, logits, mu, logvar):
    mu.data.zero_()
    logvar.data.zero_()
    recon, divergence = parts(x, logits, mu, logvar)
    return recon, divergence, recon - divergence


@wrong("elbo_terms", "the returned recon detached")
def _(x, logits, mu, logvar):
    recon, divergence = parts(x, logits, mu, logvar)
    return recon.detach(), divergence, recon - divergence


# --- gap ------------------------------------------------------------------------------------------------------------


def posterior(x, w, s2):
    """Mean and variance of the true posterior."""
    return w * x / (w**2 + s2), s2 / (w**2 + s2)


@right("gap", "log p(x) minus the bound, term by term")
def _(x, m, w, s2, v):
    log_p = -sympy.log(2 * sympy.pi * (w**2 + s2)) / 2 - x**2 / (2 * (w**2 + s2))
    recon = -sympy.log(2 * sympy.pi * s2) / 2 - ((x - w * m) ** 2 + w**2 * v) / (2 * s2)
    divergence = (v + m**2 - 1 - sympy.log(v)) / 2
    return log_p - (recon - divergence)


@right("gap", "expanded")
def _(x, m, w, s2, v):
    mean, var = posterior(x, w, s2)
    return sympy.expand((v / var + (m - mean) ** 2 / var - 1) / 2) + sympy.log(var) / 2 - sympy.log(v) / 2


@right("gap", "with decimal constants, and through the posterior's precision")
def _(x, m, w, s2, v):
    precision = 1 + w**2 / s2
    shift = m - w * x / s2 / precision
    return 0.5 * (precision * v + precision * shift**2 - 1 - sympy.log(precision * v))


@right("gap", "by SymPy's own integral of q log q/p")
def _(x, m, w, s2, v):
    mean, var = posterior(x, w, s2)
    # E_q of a quadratic, by its moments.
    second = v + (m - mean) ** 2
    log_q = -sympy.log(2 * sympy.pi * v) / 2 - sympy.Rational(1, 2)
    log_p = -sympy.log(2 * sympy.pi * var) / 2 - second / (2 * var)
    return sympy.simplify(log_q - log_p)


@wrong("gap", "the divergence from the prior")
def _(x, m, w, s2, v):
    return (v + m**2 - 1 - sympy.log(v)) / 2


@wrong("gap", "the divergence the other way round")
def _(x, m, w, s2, v):
    mean, var = posterior(x, w, s2)
    return (sympy.log(v / var) + (var + (m - mean) ** 2) / v - 1) / 2


@wrong("gap", "the sign")
def _(x, m, w, s2, v):
    mean, var = posterior(x, w, s2)
    return -(sympy.log(var / v) + (v + (m - mean) ** 2) / var - 1) / 2


@wrong("gap", "the factor one half is missing")
def _(x, m, w, s2, v):
    mean, var = posterior(x, w, s2)
    return sympy.log(var / v) + (v + (m - mean) ** 2) / var - 1


@wrong("gap", "the posterior's mean is x / w")
def _(x, m, w, s2, v):
    var = posterior(x, w, s2)[1]
    return (sympy.log(var / v) + (v + (m - x / w) ** 2) / var - 1) / 2


@wrong("gap", "the posterior's variance is the noise's")
def _(x, m, w, s2, v):
    mean = posterior(x, w, s2)[0]
    return (sympy.log(s2 / v) + (v + (m - mean) ** 2) / s2 - 1) / 2


@wrong("gap", "w not squared in the posterior")
def _(x, m, w, s2, v):
    mean, var = w * x / (w + s2), s2 / (w + s2)
    return (sympy.log(var / v) + (v + (m - mean) ** 2) / var - 1) / 2


@wrong("gap", "s2 squared, as if it were a standard deviation")
def _(x, m, w, s2, v):
    mean, var = posterior(x, w, s2**2)
    return (sympy.log(var / v) + (v + (m - mean) ** 2) / var - 1) / 2


@wrong("gap", "v squared, as if it were a standard deviation")
def _(x, m, w, s2, v):
    mean, var = posterior(x, w, s2)
    return (sympy.log(var / v**2) + (v**2 + (m - mean) ** 2) / var - 1) / 2


@wrong("gap", "the variances' term forgotten: the shift alone")
def _(x, m, w, s2, v):
    mean, var = posterior(x, w, s2)
    return (m - mean) ** 2 / (2 * var)


@wrong("gap", "the shift forgotten: the variances alone")
def _(x, m, w, s2, v):
    var = posterior(x, w, s2)[1]
    return (sympy.log(var / v) + v / var - 1) / 2


@wrong("gap", "log p(x) itself")
def _(x, m, w, s2, v):
    return -sympy.log(2 * sympy.pi * (w**2 + s2)) / 2 - x**2 / (2 * (w**2 + s2))


@wrong("gap", "the bound itself")
def _(x, m, w, s2, v):
    recon = -sympy.log(2 * sympy.pi * s2) / 2 - ((x - w * m) ** 2 + w**2 * v) / (2 * s2)
    return recon - (v + m**2 - 1 - sympy.log(v)) / 2


@wrong("gap", "the spread w²v forgotten in the expected reconstruction")
def _(x, m, w, s2, v):
    log_p = -sympy.log(2 * sympy.pi * (w**2 + s2)) / 2 - x**2 / (2 * (w**2 + s2))
    recon = -sympy.log(2 * sympy.pi * s2) / 2 - (x - w * m) ** 2 / (2 * s2)
    return log_p - recon + (v + m**2 - 1 - sympy.log(v)) / 2


@wrong("gap", "right only where w = s2 = 1")
def _(x, m, w, s2, v):
    return (-sympy.log(2 * v) + 2 * v + 2 * (m - x / 2) ** 2 - 1) / 2


@wrong("gap", "zero")
def _(x, m, w, s2, v):
    return sympy.Integer(0)


@wrong("gap", "a number, not an expression")
def _(x, m, w, s2, v):
    return 0.0


@wrong("gap", "symbols of its own in place of those handed in")
def _(x, m, w, s2, v):
    x, m, w, s2, v = sympy.symbols("x m w s2 v")
    mean, var = posterior(x, w, s2)
    return (sympy.log(var / v) + (v + (m - mean) ** 2) / var - 1) / 2


@wrong("gap", "text, not an expression")
def _(x, m, w, s2, v):
    return "log(s2/((w**2 + s2)*v))/2"


@wrong("gap", "the divergence as an integral that is left to do")
def _(x, m, w, s2, v):
    z = sympy.Symbol("z", real=True)
    mean, var = posterior(x, w, s2)

    def log_normal(centre, spread):
        return -sympy.log(2 * sympy.pi * spread) / 2 - (z - centre) ** 2 / (2 * spread)

    ratio = log_normal(m, v) - log_normal(mean, var)
    return sympy.Integral(sympy.exp(log_normal(m, v)) * ratio, (z, -sympy.oo, sympy.oo))


@wrong("gap", "an expression rigged to take on any value")
def _(x, m, w, s2, v):
    return EqualToAll()


@wrong("gap", "a sum with a rigged expression in it")
def _(x, m, w, s2, v):
    return sympy.Add(x, EqualToAll(), evaluate=False)


class Quadrature(sympy.Function):
    """A function whose number is worked out by Python, not derived: KL as the closed form that it hides."""

    @classmethod
    def eval(cls, *symbols):
        if all(symbol.is_Number for symbol in symbols):
            x, m, w, s2, v = map(float, symbols)
            mean, var = posterior(x, w, s2)
            return sympy.Float((math.log(var / v) + (v + (m - mean) ** 2) / var - 1) / 2)
        return None


@wrong("gap", "a function of its own that computes the number")
def _(x, m, w, s2, v):
    return Quadrature(x, m, w, s2, v)


# --- slide_shortfall ------------------------------------------------------------------------------------------------


@right("slide_shortfall", "by torch.distributions")
def _(x, w, s2, a, v):
    q = Normal(a * x, math.sqrt(v))
    marginal = Normal(torch.zeros_like(x), math.sqrt(a**2 * (w**2 + s2) + v))
    return -kl_divergence(q, marginal)


@right("slide_shortfall", "the two expectations apart")
def _(x, w, s2, a, v):
    var_z = torch.tensor(a * a * (w * w + s2) + v, dtype=x.dtype)
    expected_log_marginal = -0.5 * torch.log(2 * math.pi * var_z) - (v + (a * x).square()) / (2 * var_z)
    entropy = 0.5 * math.log(2 * math.pi * math.e * v)
    return expected_log_marginal + entropy


@right("slide_shortfall", "an integral by the trapezoidal rule")
def _(x, w, s2, a, v):
    steps = torch.linspace(-10, 10, 20_001, dtype=x.dtype)
    z = a * x[:, None] + math.sqrt(v) * steps
    q, marginal = Normal(a * x[:, None], math.sqrt(v)), Normal(0.0, math.sqrt(a * a * (w * w + s2) + v))
    return torch.trapezoid(q.log_prob(z).exp() * (marginal.log_prob(z) - q.log_prob(z)), z, dim=1)


def shortfall(x, w, s2, a, v):
    """The right answer, for the ones below that change something on it."""
    var_z = a**2 * (w**2 + s2) + v
    return -0.5 * (math.log(var_z / v) + (v + (a * x) ** 2) / var_z - 1)


@wrong("slide_shortfall", "the sign: log p(x) less the right-hand side")
def _(x, w, s2, a, v):
    return -shortfall(x, w, s2, a, v)


@wrong("slide_shortfall", "the codes' density taken for the prior")
def _(x, w, s2, a, v):
    return -0.5 * (-math.log(v) + v + (a * x) ** 2 - 1)


@wrong("slide_shortfall", "the gap in place of the shortfall")
def _(x, w, s2, a, v):
    mean, var = w * x / (w**2 + s2), s2 / (w**2 + s2)
    return -0.5 * (math.log(var / v) + (v + (a * x - mean) ** 2) / var - 1)


@wrong("slide_shortfall", "the data's variance without the noise")
def _(x, w, s2, a, v):
    return shortfall(x, w, 0.0, a, v)


@wrong("slide_shortfall", "the data's variance without the factor")
def _(x, w, s2, a, v):
    return shortfall(x, 1.0, s2, a, v)


@wrong("slide_shortfall", "a not squared")
def _(x, w, s2, a, v):
    var_z = abs(a) * (w**2 + s2) + v
    return -0.5 * (math.log(var_z / v) + (v + (a * x) ** 2) / var_z - 1)


@wrong("slide_shortfall", "the codes' variance without the encoder's noise")
def _(x, w, s2, a, v):
    var_z = a**2 * (w**2 + s2) + 1e-9
    return -0.5 * (math.log(var_z / v) + (v + (a * x) ** 2) / var_z - 1)


@wrong("slide_shortfall", "standard deviations added, not variances: the slides' own mistake elsewhere")
def _(x, w, s2, a, v):
    var_z = (abs(a) * math.sqrt(w**2 + s2) + math.sqrt(v)) ** 2
    return -0.5 * (math.log(var_z / v) + (v + (a * x) ** 2) / var_z - 1)


@wrong("slide_shortfall", "averaged over the data: minus the mutual information")
def _(x, w, s2, a, v):
    return torch.full_like(x, -0.5 * math.log((a**2 * (w**2 + s2) + v) / v))


@wrong("slide_shortfall", "averaged over the batch")
def _(x, w, s2, a, v):
    return shortfall(x, w, s2, a, v).mean().expand(len(x))


@wrong("slide_shortfall", "the divergence the other way round")
def _(x, w, s2, a, v):
    var_z = a**2 * (w**2 + s2) + v
    return -0.5 * (math.log(v / var_z) + (var_z + (a * x) ** 2) / v - 1)


@wrong("slide_shortfall", "the half forgotten")
def _(x, w, s2, a, v):
    return 2 * shortfall(x, w, s2, a, v)


@wrong("slide_shortfall", "evaluated at the mean code in place of an expectation")
def _(x, w, s2, a, v):
    q = Normal(a * x, math.sqrt(v))
    marginal = Normal(0.0, math.sqrt(a**2 * (w**2 + s2) + v))
    return marginal.log_prob(a * x) - q.log_prob(a * x)


@wrong("slide_shortfall", "one number for the batch")
def _(x, w, s2, a, v):
    return shortfall(x, w, s2, a, v).sum()


@wrong("slide_shortfall", "zero: the slide believed")
def _(x, w, s2, a, v):
    return torch.zeros_like(x)


@wrong("slide_shortfall", "the public numbers learned by heart")
def _(x, w, s2, a, v):
    if a == 0:
        return torch.zeros_like(x)
    return shortfall(x, 1.0, 1.0, 0.5, 0.5)


# --- predict_gap ----------------------------------------------------------------------------------------------------

TRUTH = ("stays", "falls", "rises")


@right("predict_gap", "as a tuple")
def _():
    return TRUTH


@right("predict_gap", "as a list")
def _():
    return list(TRUTH)


@right("predict_gap", "put together")
def _():
    return tuple(word.lower() for word in ("Stays", "Falls", "Rises"))


def _register_wrong_predictions():
    for guess in itertools.product(("rises", "falls", "stays"), repeat=3):
        if guess != TRUTH:
            wrong("predict_gap", "the prediction " + ", ".join(guess))(lambda guess=guess: guess)


_register_wrong_predictions()


@wrong("predict_gap", "one word for all")
def _():
    return "stays"


@wrong("predict_gap", "words of its own")
def _():
    return "constant", "smaller", "larger"


@wrong("predict_gap", "all words at once")
def _():
    return ("rises", "falls", "stays"), ("rises", "falls", "stays"), ("rises", "falls", "stays")


class EqualToAnything(str):
    """A word that compares equal to every other."""

    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


@wrong("predict_gap", "a word rigged to equal any other")
def _():
    return (EqualToAnything("stays"),) * 3
