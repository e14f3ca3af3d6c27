# mlac_embed(TARGET FILE NAME): compiles FILE into TARGET as `const std::string_view mlac::NAME`, declared in serve/embedded.h.
# Run as a script (cmake -P) it writes the source of one file.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${INPUT} bytes HEX)
  string(LENGTH "${bytes}" num_digits)
  math(EXPR num_bytes "${num_digits} / 2")
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${bytes}")
  # A string literal of 64 KiB and more is beyond what compilers promise, so it is written in parts of 100 bytes, joined by the compiler.
  string(REPEAT "." 400 part)
  string(REGEX REPLACE "(${part})" "\\1\"\n\"" bytes "${bytes}")
  file(WRITE ${OUTPUT} "#include \"serve/embedded.h\"\nconst std::string_view mlac::${NAME}(\n\"${bytes}\",\n${num_bytes});\n")
  return()
endif()

function(mlac_embed target input name)
  set(output ${CMAKE_BINARY_DIR}/generated/embedded_${name}.cc)
  add_custom_command(OUTPUT ${output} DEPENDS ${CMAKE_SOURCE_DIR}/${input} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake VERBATIM
                     COMMAND ${CMAKE_COMMAND} -DINPUT=${CMAKE_SOURCE_DIR}/${input} -DOUTPUT=${output} -DNAME=${name}
                             -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake)
  target_sources(${target} PRIVATE ${output})
endfunction()
