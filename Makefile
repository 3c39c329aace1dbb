# The front door. Everything else is CMake presets underneath (CMakePresets.json).
#   make bench   install what is missing, build, run the main job at the DeepSeek-V3 shape
#   make test    build and run every test that can run here
#   make build   the release program at build/epskew
#   make wheel   the Python package in dist/, compiled, self-contained and checked
.DEFAULT_GOAL := build
.PHONY: deps python-deps build test bench wheel sanitize lint clean

# Read-only checks that the test suite also runs; see tools/.
lint:
	python3 tools/lint/check.py

deps:
	@tools/install-deps

python-deps:
	@tools/install-deps python
	@tools/python-env

build: deps
	@tools/build release
	@ln -sfn release/apps/epskew/epskew build/epskew

test: python-deps
	@tools/build dev
	@tools/run-tests dev

# Address and undefined-behaviour sanitizers, then the thread sanitizer, over what they can see; 20 to 30 minutes on two cores.
sanitize: deps
	@tools/sanitize asan
	@tools/sanitize tsan

wheel: python-deps
	@tools/wheel

bench: build
	@build/epskew bench

clean:
	rm -rf build
