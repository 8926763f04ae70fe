from latentry import Scheduler
from latentry.sigmas import SigmaSchedule


class Frozen(Scheduler):
    def step(self, x, interval, memory, noise):
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end), memory


class Even(SigmaSchedule):
    def levels(self, steps, process):
        top = process.noisiest.timestep
        return tuple(process.at(timestep=top * (steps - i) / steps) for i in range(steps))
