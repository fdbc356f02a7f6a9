// Included before every file of a musl build: lets the machine's libstdc++ headers, which were configured for glibc,
// compile against musl's C library. Nothing of libstdc++ is linked; musl/runtime.cpp supplies what its headers call.
#pragma once

// Asked by libstdc++'s os_defines.h; musl is not glibc of any version.
#define __GLIBC_PREREQ(a, b) 0
#define __locale_t locale_t

// Without it std::string's members are expected in libstdc++.a.
#define _GLIBCXX_EXTERN_TEMPLATE 0

// glibc's <ctype.h> mask bits, which ctype_base.h names though no locale code is used here.
enum {
  _ISupper = 1,
  _ISlower = 2,
  _ISalpha = 4,
  _ISdigit = 8,
  _ISxdigit = 16,
  _ISspace = 32,
  _ISprint = 64,
  _ISgraph = 128,
  _IScntrl = 256,
  _ISpunct = 512,
  _ISalnum = 1024,
  _ISblank = 2048
};

#include <bits/c++config.h>

// No more than one thread of a program uses what depends on these, which would pull in glibc's pthread extensions.
#undef _GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT
#undef _GLIBCXX_USE_PTHREAD_RWLOCK_CLOCKLOCK
#undef _GLIBCXX_HAS_GTHREADS
