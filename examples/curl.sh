#!/usr/bin/env bash
# Every way to ask the service with curl: examples/curl.sh PHOTO. The address is in DEPTHSVC_URL.
set -euo pipefail
photo=$1
url=${DEPTHSVC_URL:-http://localhost:7860}

# Is it there, and which model answers?
curl -sS "$url/health"
echo
curl -sS --fail-with-body "$url/models"
echo

# A heatmap: near is bright, far is dark. On an error the output file holds its description, and curl fails.
curl -sS --fail-with-body -F "image=@$photo" "$url/upload" -o heatmap.png

# Other colours, a smaller file, the photo beside its heatmap.
curl -sS --fail-with-body -F "image=@$photo" "$url/upload?colormap=viridis&palette=true" -o viridis.png
curl -sS --fail-with-body -F "image=@$photo" "$url/upload?side_by_side=true" -o pair.png

# The values themselves, as a NumPy file, as raw float16 with its shape in a header, as a 16-bit grey PNG.
curl -sS --fail-with-body -F "image=@$photo" "$url/depth?format=npy" -o depth.npy
curl -sS --fail-with-body -F "image=@$photo" "$url/depth" -o depth.f16 -D headers.txt
grep -i '^x-depth-' headers.txt
curl -sS --fail-with-body -F "image=@$photo" "$url/depth?format=png16&normalize=true" -o depth16.png

# The bare bytes instead of a form, and more detail for more time.
curl -sS --fail-with-body --data-binary "@$photo" -H "Content-Type: image/jpeg" "$url/upload?input_size=384" -o detailed.png

# Points in space for a viewer such as MeshLab, and the photo refocused on a point.
curl -sS --fail-with-body -F "image=@$photo" "$url/pointcloud?fov=65" -o points.ply
curl -sS --fail-with-body -F "image=@$photo" "$url/bokeh?focus=0.5,0.6&strength=0.8" -o refocused.jpg

# What an error looks like.
curl -sS -F "image=@$0" "$url/upload"
echo
