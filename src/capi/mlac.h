#pragma once
// mlac for C, and for every language that can call C: libmlac.so. docs/c-api.md has examples.
//
// Errors. A function that can fail returns a status, MLAC_OK or the kind of the fault, and gives what went wrong in words through its last
// argument: an object of the caller's, to be read with mlac_error_message() and mlac_error_hint() and freed with mlac_error_free(). It is
// NULL after success, and nobody has to ask for it: NULL may be passed instead. (An object and not a text that the library keeps for a
// thread: a runtime that moves its tasks between threads, as Go, C# and asynchronous Python do, would read that of another call.) Nothing
// here throws, prints, exits or raises a signal, out of memory included (docs/c-api.md names one gap). What a function was to give is left
// as it was when it fails.
//
// Threads. Every function may be called from any thread at any time, with one model from several threads too: their texts are computed in
// turns, in the order of their coming, some 256 texts a turn or, of windows, entities, masks and labels of one's own, 1,024 tokens for each
// thread of the model, which all compute. Answers do not depend on who else asks, on the number of threads or on the processor: they are
// those of `mlac run`, bit for bit (dtype "bf16": of processors of one kind), whatever rounding mode the caller's thread has. A process may be
// forked at any time; in the child a model of the parent is refused, MLAC_UNSUPPORTED (docs/c-api.md).
//
// Strings are UTF-8 and end in a zero byte; what is not UTF-8 is refused with its place. Functions copy what they are given.
//
// Compatibility. Within one soname (libmlac.so.0) functions, statuses and fields of JSON are added, never changed or taken away.
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define MLAC_API __attribute__((visibility("default")))
#else
#define MLAC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t mlac_status;
enum {
  MLAC_OK = 0,
  MLAC_INVALID_ARGUMENT = 1,    // asked for something that cannot be: NULL, a closed model, an option's value, a field of a request
  MLAC_INVALID_INPUT = 2,       // a file of the model, or JSON, is broken or says something impossible
  MLAC_NOT_FOUND = 3,           // a file, folder or task does not exist
  MLAC_ALREADY_EXISTS = 4,      // an output is there already
  MLAC_UNSUPPORTED = 5,         // well formed, but nothing that mlac, this model or this processor can do
  MLAC_TOO_LARGE = 6,           // above a limit: a text longer than the model takes
  MLAC_RESOURCE_EXHAUSTED = 7,  // no memory, no thread
  MLAC_IO = 8,                  // the system refused to read
  MLAC_CANCELLED = 9,           // interrupted
  MLAC_INTERNAL = 10            // a mistake of mlac's own
};

// A model that is open. The value is no address; it is never given twice in a process, so that a closed model is known as one.
typedef struct mlac_model mlac_model;
typedef struct mlac_error mlac_error;

// "0.1.0". Lives as long as the library.
MLAC_API const char* mlac_version(void);

// "invalid_argument" for MLAC_INVALID_ARGUMENT and so on, "ok" for MLAC_OK, "unknown" for any other number.
MLAC_API const char* mlac_status_name(mlac_status status);

// Of a NULL: MLAC_OK and "". The texts live as long as the error. The hint says what to do, and may be "".
MLAC_API mlac_status mlac_error_status(const mlac_error* error);
MLAC_API const char* mlac_error_message(const mlac_error* error);
MLAC_API const char* mlac_error_hint(const mlac_error* error);
// NULL is allowed.
MLAC_API void mlac_error_free(mlac_error* error);

// Opens a model folder in the Hugging Face layout: config.json, model.safetensors, tokenizer.json. Weights are mapped, so the files are to
// be replaced by renaming, not written into, while the model is open. options: NULL or a JSON object, each field optional:
//   "threads": 2         to compute with; else OMP_NUM_THREADS, else the cores that the process may use
//   "max_length": 128    tokens that a text may have; else what the folder says
//   "truncate": true     cut longer texts instead of refusing them (mlac_describe counts them)
//   "dtype": "bf16"      what matrix products are computed in; else "f32"
//   "allow_slow": true   bf16 on a processor without instructions for it, too
//   "adapter": "./lora"  the folder of an adapter over the model, in PEFT's format
MLAC_API mlac_status mlac_open(const char* folder, const char* options, mlac_model** model, mlac_error** error);

// Ends the model once the calls that other threads are in have returned. NULL is allowed; a model that is closed already is
// MLAC_INVALID_ARGUMENT, which may be ignored.
MLAC_API mlac_status mlac_close(mlac_model* model);

// Gives a JSON object, to be freed with mlac_free: {"folder", "adapter" where the model has one, "tasks": ["feature-extraction",
// ...], "labels": [...], "embedding_size", "max_length", "threads", "dtype", "truncated": texts that were cut so far}.
MLAC_API mlac_status mlac_describe(mlac_model* model, char** description, mlac_error** error);

// Has the model do a task, as `mlac run TASK --json`. request: a JSON object {"inputs": ..., "parameters": {...}}, as the HTTP API takes it
// at "/" (docs/c-api.md lists both for each task); for text-ranking {"query", "texts"}. answer: JSON, to be freed with mlac_free; of inputs
// that are no list the answer alone, without a list around it. MLAC_NOT_FOUND for a task that mlac does not have, MLAC_UNSUPPORTED for one
// that this model does not do.
MLAC_API mlac_status mlac_run(mlac_model* model, const char* task, const char* request, char** answer, mlac_error** error);

// The numbers of a vector of mlac_embed.
MLAC_API mlac_status mlac_embedding_size(mlac_model* model, size_t* size, mlac_error** error);

// Writes one vector a text, one behind the other, pooled and normalised as the folder says, with the prompt that it puts before each
// text where nobody names one: the numbers of feature-extraction.
// texts: count pointers; lengths: their bytes, or NULL where each ends in a zero byte. vectors: room for at least count *
// mlac_embedding_size() floats, of which vectors_size says how many there are; more stay as they are. After an error the vectors of some
// texts may have been written.
MLAC_API mlac_status mlac_embed(mlac_model* model, const char* const* texts, const size_t* lengths, size_t count, float* vectors,
                                size_t vectors_size, mlac_error** error);

// A text of mlac_describe or mlac_run. NULL is allowed.
MLAC_API void mlac_free(char* text);

#ifdef __cplusplus
}
#endif
