// What every file of a project includes, in one header that a compiler can keep parsed: reading them
// takes longer than compiling a file's own lines.
#pragma once
#include <chrono>
#include <climits>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>
