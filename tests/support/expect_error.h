// EXPECT_ERROR(statement, "part"): octet::Error, in one line, that contains `part`.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "core/error.h"

#define EXPECT_ERROR(statement, part)                                      \
  do {                                                                     \
    try {                                                                  \
      statement;                                                           \
      ADD_FAILURE() << #statement " throws nothing, expected: " << (part); \
    } catch (const ::octet::Error& error) {                                \
      const std::string text = error.what();                               \
      EXPECT_NE(text.find(part), std::string::npos) << text;               \
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;               \
    }                                                                      \
  } while (0)
