// An outside program that uses everything: a tensor through the installed headers.
#include <octet/core/tensor.h>

#include <cstdio>

int main() {
  octet::Tensor tensor = octet::Tensor::full(octet::Shape{2, 3}, 1.5);
  std::printf("%s holds %g\n", tensor.shape().str().c_str(), tensor.at(5));
  return tensor.at(5) == 1.5 ? 0 : 1;
}
