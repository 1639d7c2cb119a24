# The image for both architectures under one name:
#
#   export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) REVISION=$(git rev-parse HEAD)
#   IMAGE=registry.example/depthsvc VERSION=0.2.0 PUSH=true docker buildx bake
#
# SOURCE_DATE_EPOCH becomes the time of all files. The build runs the network, which takes very long where an
# architecture is emulated: give buildx a machine of each (docker buildx create --append).

variable "IMAGE" {
  default = "depthsvc"
}

variable "VERSION" {
  default = "dev"
}

variable "REVISION" {
  default = ""
}

variable "BASE" {
  default = "python:3.11-slim-bookworm"
}

variable "MODEL" {
  default = "midas_small"
}

variable "PUSH" {
  default = "false"
}

group "default" {
  targets = ["depthsvc"]
}

target "depthsvc" {
  platforms = ["linux/amd64", "linux/arm64"]
  tags      = ["${IMAGE}:${VERSION}"]
  args = {
    BASE     = BASE
    MODEL    = MODEL
    REVISION = REVISION
    VERSION  = VERSION
  }
  output = ["type=image,push=${PUSH},rewrite-timestamp=true"]
}
