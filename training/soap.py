# SPDX-License-Identifier: LGPL-2.1-or-later
"""SOAP (arXiv 2409.11321): Adam in the eigenbasis of Shampoo's preconditioner, for small matrices on a CPU.

A weight is treated as a matrix (outputs, everything else). Gradients are turned into the eigenbasis of running
averages of G·Gᵀ and Gᵀ·G; sides longer than `longest` are left as they are. Moments live in that basis and are
turned with it when it moves. Statistics are taken on every second step; vectors get plain Adam.
"""
import torch


class SOAP(torch.optim.Optimizer):
    """lr, betas, eps as for Adam. statistics_beta: decay of the averages of G·Gᵀ and Gᵀ·G, per update of them. every: steps from one move of the
    bases to the next. longest: the longest side that gets a basis."""

    def __init__(self, params, lr=1e-3, betas=(0.95, 0.95), statistics_beta=0.9, eps=1e-8, every=16, longest=256):
        super().__init__(params, dict(lr=lr, betas=betas, statistics_beta=statistics_beta, eps=eps, every=every, longest=longest))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group['params']:
                if p.grad is not None:
                    self.update(p, self.state[p], group)

    def update(self, p, state, group):
        """One step of the parameter p, of any shape, in place. Its state: t, the number of steps; moments m and v (N, K), or like p; for matrices
        statistics c and bases q of both sides, [(N, N), (K, K)], None for a side that is too long."""
        b1, b2 = group['betas']
        g = p.grad.float()
        matrix = p.dim() >= 2 and p.shape[0] > 1 and p.numel() // p.shape[0] > 9
        if matrix:
            g = g.reshape(p.shape[0], -1)
        if not state:
            state.update(t=0, m=torch.zeros_like(g), v=torch.zeros_like(g))
            if matrix:                                             # the first step only sets the basis
                state['c'] = [c if len(c) <= group['longest'] else None for c in (g @ g.T, g.T @ g)]
                state['q'] = [None if c is None else eigenbasis(c) for c in state['c']]
                return
        state['t'] += 1
        t = state['t']
        if matrix:
            if t % 2 == 0:
                for c, product in zip(state['c'], (lambda: g @ g.T, lambda: g.T @ g)):
                    if c is not None:
                        c.lerp_(product(), 1 - group['statistics_beta'])
            g = turn(g, state['q'])
        state['m'].lerp_(g, 1 - b1)
        state['v'].mul_(b2).addcmul_(g, g, value=1 - b2)
        step = state['m'] / (state['v'].sqrt() + group['eps']) * ((1 - b2 ** t) ** 0.5 / (1 - b1 ** t))
        if matrix:
            step = turn(step, [None if q is None else q.T for q in state['q']])
            if t % group['every'] == 0:
                move(state)
        p.add_(step.reshape(p.shape), alpha=-group['lr'])


def eigenbasis(c):
    """c (N, N), symmetric -> its eigenvectors as columns (N, N), those of the largest eigenvalues first"""
    return torch.linalg.eigh(c + 1e-12 * torch.eye(len(c)))[1].flip(1).contiguous()


def turn(g, basis):
    """basis[0]ᵀ · g · basis[1], g (N, K), bases (N, N) and (K, K); None stands for the identity."""
    if basis[0] is not None:
        g = basis[0].T @ g
    return g if basis[1] is None else g @ basis[1]


def move(state):
    """One step of orthogonal iteration towards the eigenvectors of the current statistics."""
    rotation = []
    for side, c in enumerate(state['c']):
        if c is None:
            rotation.append(None)
            continue
        old = state['q'][side]
        order = torch.argsort((old * (c @ old)).sum(0), descending=True)
        new = torch.linalg.qr(c @ old[:, order])[0]
        state['v'] = state['v'].index_select(side, order)
        state['q'][side] = new
        rotation.append(old.T @ new)
    state['m'] = turn(state['m'], rotation)
