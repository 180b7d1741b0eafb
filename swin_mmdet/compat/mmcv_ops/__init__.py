"""mmcv without its compiled ops: `import mmdet` fails with "No module named 'mmcv._ext'".

Since when: the last release of mmcv is from April 2024, and its wheels stop at the PyTorch of that year. For anything
newer pip starts a long build from source; mmcv-lite installs everywhere and has no ops. Can go: when wheels of mmcv
cover the PyTorch and Python versions in use.

`install` offers a module `mmcv._ext` to the import system, last in line. mmcv's Python wrappers and autograd functions
run on top of it; those of deformable attention and convolution reach our kernels where these run (`functions`). Where
there is a compiled module it is the one that runs, but for tensors that it cannot take (`choose`). The other files hold
the ops, with the names, arguments and in-place outputs of the compiled module; float16 and bfloat16 are computed in
float32 and rounded once.
"""
