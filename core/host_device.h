// OCTET_HD: a function that runs on the host and, where nvcc reads it, on the device.
#pragma once

#if defined(__CUDACC__)
#define OCTET_HD __host__ __device__
#else
#define OCTET_HD
#endif
