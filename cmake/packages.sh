# shellcheck shell=bash disable=SC2034
# The one list of packages, for demo, check and .ci/run (bash, to be sourced). The names are the same in Debian 12 and
# Ubuntu 24.04.

octet_packages_build=(g++ cmake ninja-build ccache libfmt-dev libspdlog-dev nlohmann-json3-dev libcli11-dev libstb-dev
  libcurl4-openssl-dev libssl-dev libarchive-dev libdnnl-dev libopenblas-openmp-dev libonnx-dev libprotobuf-dev protobuf-compiler)
octet_packages_check=("${octet_packages_build[@]}" libgtest-dev libgmock-dev libbenchmark-dev qemu-user
  python3-numpy python3-venv)
octet_packages_clang=(clang libclang-rt-dev libomp-dev)
octet_packages_cifar10=(python3 python3-pil xz-utils)

# octet_install PACKAGE…: installs what is missing with apt, as root or through sudo; does nothing, and needs no network,
# when nothing is missing. Without apt or the right to use it: names the packages and fails.
octet_install() {
  local package missing=() become=()
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is no Debian or Ubuntu, so nothing is installed for you. Needed, by Debian's names: $*" >&2
    return 0 # configuring tells what is really absent
  fi
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
      echo "Missing packages, and neither root nor sudo to install them. Please run: apt-get install ${missing[*]}" >&2
      return 1
    fi
    become=(sudo)
  fi
  echo "Installing: ${missing[*]}"
  "${become[@]}" apt-get update -qq || echo "apt-get update failed, trying with the lists at hand" >&2
  "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >/dev/null || {
    echo "apt-get could not install: ${missing[*]}" >&2
    return 1
  }
}
