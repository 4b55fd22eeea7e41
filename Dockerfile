# The image for those who have an engine; scripts/image makes the same without one. Both take the same programs, labels and
# paths, which a test compares.
#
#   docker build --tag docker.io/hawser/hawser:0.1.0 .

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release -p hawser -p hawser-node \
 && cargo build --profile driver -p csi-hostpath \
 && mkdir /executables \
 && built="target/$(rustc --print host-tuple)" \
 && cp "$built/release/hawser" "$built/release/hawser-node" "$built/driver/csi-hostpath" /executables/

FROM docker.io/library/debian:12-slim AS system
RUN apt-get update -qq \
 && apt-get install -qq --no-install-recommends btrfs-progs e2fsprogs xfsprogs \
 && mkdir -p /image/usr/sbin /image/usr/share/hawser /image/etc /image/tmp /image/dev /image/proc /image/run /image/sys /image/var/lib \
 && chmod 1777 /image/tmp \
 && for link in bin lib lib64 sbin; do ln -s "usr/$link" "/image/$link"; done \
 && for program in btrfstune e2fsck mkfs.btrfs mkfs.ext4 mkfs.xfs resize2fs; do \
        path=$(readlink -f "$(command -v "$program")"); \
        install -D "$path" "/image/usr/sbin/$program"; \
        echo "$path" >>/image/files; \
        ldd "$path" | grep -o '/[^ ]*' | while read -r library; do \
            place=${library#/}; \
            install -D "$(readlink -f "$library")" "/image/usr/${place#usr/}"; \
            readlink -f "$library" >>/image/files; \
        done; \
    done \
 && install -D -m 644 /etc/mke2fs.conf /image/etc/mke2fs.conf \
 && echo /etc/mke2fs.conf >>/image/files \
 && printf 'root:x:0:0:root:/:/nonexistent\nnobody:x:65534:65534:nobody:/:/nonexistent\n' >/image/etc/passwd \
 && printf 'root:x:0:\nnogroup:x:65534:\n' >/image/etc/group \
 && sort -u /image/files | while read -r file; do \
        dpkg-query -S "$file" 2>/dev/null || dpkg-query -S "${file#/usr}"; \
    done | sed 's/:.*//' | sort -u >/image/packages \
 && xargs dpkg-query -W -f '${Package}\t${Version}\n' </image/packages >/image/usr/share/hawser/packages.tsv \
 && while read -r package; do \
        install -D -m 644 "/usr/share/doc/$package/copyright" "/image/usr/share/doc/$package/copyright"; \
    done </image/packages \
 && rm /image/files /image/packages

FROM scratch
LABEL org.opencontainers.image.title="Hawser" \
      org.opencontainers.image.description="The pod network and the local storage of a Kubernetes node" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin
COPY --from=system /image/ /
COPY --from=build /executables/ /usr/local/bin/
CMD ["/usr/local/bin/hawser", "--help"]
