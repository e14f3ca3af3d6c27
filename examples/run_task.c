// Has a model do a task in C: run_task FOLDER TASK REQUEST
//   run_task ./topics text-classification '{"inputs": ["a striped cat", "a tall oak"], "parameters": {"top_k": 3}}'
#include <mlac.h>
#include <stdio.h>

static int fail(mlac_error* error) {
  const char* hint = mlac_error_hint(error);
  fprintf(stderr, "run_task: %s: %s%s%s%s\n", mlac_status_name(mlac_error_status(error)), mlac_error_message(error), *hint ? " (" : "",
          hint, *hint ? ")" : "");
  mlac_error_free(error);
  return 1;
}

int main(int argc, char** argv) {
  mlac_model* model = NULL;
  mlac_error* error = NULL;
  char* answer = NULL;
  if (argc != 4) return fprintf(stderr, "usage: run_task FOLDER TASK REQUEST\n"), 2;
  if (mlac_open(argv[1], "{\"threads\": 2, \"truncate\": true}", &model, &error) != MLAC_OK) return fail(error);
  if (mlac_run(model, argv[2], argv[3], &answer, &error) != MLAC_OK) {
    mlac_close(model);
    return fail(error);
  }
  puts(answer);
  mlac_free(answer);
  mlac_close(model);
  return 0;
}
