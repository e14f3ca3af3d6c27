# Cross-compiling for 64-bit Arm on another Debian (`dev test --arm`): g++-aarch64-linux-gnu brings the C and C++ libraries, scripts/arm64_libraries.sh
# unpacks the others into the build folder, and qemu-user runs what comes out.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

get_filename_component(MLAC_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/arm64/sysroot ABSOLUTE)
set(MLAC_SYSROOT_LIBRARIES ${MLAC_SYSROOT}/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE})
set(CMAKE_FIND_ROOT_PATH ${MLAC_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# OpenSSL has a header for each architecture in a folder of its own, which no find module names.
set(CMAKE_CXX_FLAGS_INIT "-isystem ${MLAC_SYSROOT}/usr/include -isystem ${MLAC_SYSROOT}/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}")
foreach(kind EXE SHARED)  # where the libraries of libraries are
  set(CMAKE_${kind}_LINKER_FLAGS_INIT "-Wl,-rpath-link,${MLAC_SYSROOT_LIBRARIES}")
endforeach()

find_program(QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${QEMU} -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=${MLAC_SYSROOT_LIBRARIES})
endif()
