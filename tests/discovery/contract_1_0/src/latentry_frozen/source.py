from latentry import ModelError
from latentry.models import ResolvedPath
from latentry_frozen.detect import weights


class Shelf:
    def claims(self, text):
        return text.startswith("shelf/")

    def fetch(self, text, options):
        if text != "shelf/frozen":
            raise ModelError(f"There is no {text}.", remedy="Use shelf/frozen.")
        return ResolvedPath(weights(), text, "1")
