"""libmlac.so from Python by ctypes, without any package: mlac_ctypes.py LIBRARY FOLDER TEXT...

Prints the tasks of the model, and how near each text is to the first one.
"""
import ctypes
import json
import sys


class MlacError(Exception):
    pass


class Model:
    """A model folder, open until close() or the end of `with`."""

    def __init__(self, library, folder, **options):
        self.library = library
        self.handle = ctypes.c_void_p()
        self._call("mlac_open", folder.encode(), json.dumps(options).encode(), ctypes.byref(self.handle))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.library.mlac_close(self.handle)

    def describe(self):
        return self._text("mlac_describe")

    def run(self, task, inputs, **parameters):
        request = {"inputs": inputs, "parameters": parameters}
        return self._text("mlac_run", task.encode(), json.dumps(request).encode())

    def embed(self, texts):
        """One list of floats a text."""
        size = ctypes.c_size_t()
        self._call("mlac_embedding_size", self.handle, ctypes.byref(size))
        encoded = [text.encode() for text in texts]
        vectors = (ctypes.c_float * (len(texts) * size.value))()
        pointers = (ctypes.c_char_p * len(texts))(*encoded)
        lengths = (ctypes.c_size_t * len(texts))(*map(len, encoded))
        self._call("mlac_embed", self.handle, pointers, lengths, ctypes.c_size_t(len(texts)), vectors, ctypes.c_size_t(len(vectors)))
        return [list(vectors[i * size.value : (i + 1) * size.value]) for i in range(len(texts))]

    def _call(self, name, *arguments):
        error = ctypes.c_void_p()
        if status := getattr(self.library, name)(*arguments, ctypes.byref(error)):
            message, hint = self.library.mlac_error_message(error).decode(), self.library.mlac_error_hint(error).decode()
            self.library.mlac_error_free(error)
            raise MlacError(f"{self.library.mlac_status_name(status).decode()}: {message}" + (f" ({hint})" if hint else ""))

    def _text(self, name, *arguments):
        text = ctypes.c_void_p()
        self._call(name, self.handle, *arguments, ctypes.byref(text))
        try:
            return json.loads(ctypes.string_at(text).decode())
        finally:
            self.library.mlac_free(text)


def load(path):
    library = ctypes.CDLL(path)
    for name in ("mlac_version", "mlac_status_name", "mlac_error_message", "mlac_error_hint"):
        getattr(library, name).restype = ctypes.c_char_p
    return library


def main():
    if len(sys.argv) < 5:
        sys.exit("usage: mlac_ctypes.py LIBRARY FOLDER TEXT TEXT...")
    library = load(sys.argv[1])
    first, *others = sys.argv[3:]
    try:
        with Model(library, sys.argv[2], threads=2) as model:
            print(f"mlac {library.mlac_version().decode()}: {', '.join(model.describe()['tasks'])}")
            similarities = model.run("sentence-similarity", {"source_sentence": first, "sentences": others})
            for similarity, text in zip(similarities, others):
                print(f"{similarity:7.4f}  {text}")
            print(f"{len(model.embed([first])[0])} numbers a text")
    except MlacError as error:
        sys.exit(f"mlac_ctypes.py: {error}")


if __name__ == "__main__":
    main()
