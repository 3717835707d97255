// What a program asks of the operating system: to end with the process that has started it.
#pragma once
#ifdef __linux__
#include <csignal>
#include <cstdlib>
#include <sys/prctl.h>
#include <unistd.h>
#endif
