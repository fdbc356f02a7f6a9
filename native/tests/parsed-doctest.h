// What most of the tests include, for the Makefile to have it parsed once; nothing includes it by name.
#include <doctest/doctest.h>

#include "tests/parsed.h"
