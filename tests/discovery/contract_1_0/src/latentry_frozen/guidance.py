import torch

from latentry.guidance import COND, UNCOND, GuidanceMethod


class Frozen(GuidanceMethod):
    def guide(self, query, memory):
        uncond, cond = yield UNCOND, COND
        return torch.lerp(uncond.output, cond.output, 0.5 * (1 + query.scale)), memory
