#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Uploads are those of tus 1.0.0, step by step, and end as a blob: core,
# creation (with bytes, with the length put off), checksum, expiration,
# termination.

use strict;
use warnings;

use Digest::SHA qw(sha1_base64 sha256_base64 sha256_hex);
use FindBin;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

my @TUS = ('Tus-Resumable' => '1.0.0');
my @OCTETS = (@TUS, 'Content-Type' => 'application/offset+octet-stream');


sub metadata {
    my ($name, $type) = @_;

    return 'filename ' . encode_base64($name, '')
           . (defined $type ? ',filetype ' . encode_base64($type, '') : '');
}


sub padded { return $_[0] . '=' x (-length($_[0]) % 4) }


sub bytes {
    my ($size, $seed) = @_;

    my $block = join '', map { sha256_hex("$seed $_") } 1 .. 64;

    return substr $block x (1 + $size / length $block), 0, $size;
}


for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(
        adapter => $adapter, location => 'mesh_storage_blob_size 4m;')->start;

    my $create = sub {
        my ($name, $length, @more) = @_;

        return $node->post('uploads/n', '', headers => [
            @TUS, 'Upload-Length' => $length,
            'Upload-Metadata' => metadata($name, 'text/x-test'), @more ]);
    };

    my $patch = sub {
        my ($path, $offset, $bytes, @more) = @_;

        return $node->patch($path, $bytes, headers => [
            @OCTETS, 'Upload-Offset' => $offset, @more ]);
    };

    my $offset = sub {
        return $node->head($_[0], headers => [ @TUS ])
                    ->header('Upload-Offset');
    };


    # what there is

    my $options = $node->request(OPTIONS => 'uploads/n');

    is($options->status, 204, "$adapter: OPTIONS needs no version");
    is($options->header('Tus-Version'), '1.0.0', 'and tells it');
    is($options->header('Tus-Max-Size'), 4 * 1024 * 1024, 'with the limit');
    is($options->header('Tus-Checksum-Algorithm'), 'sha1,sha256',
       'the checksums');
    is($options->header('Tus-Extension'),
       'creation,creation-with-upload,creation-defer-length,checksum,'
       . 'expiration,termination', 'and what it can');

    my $no = $node->post('uploads/n', '', headers => {
        'Upload-Length' => 1, 'Upload-Metadata' => metadata('a') });

    is($no->status, 412, "$adapter: without a version nothing is done");
    is($no->header('Tus-Version'), '1.0.0', 'the right one is told');


    # creation, core

    my $bytes = bytes(300_000, 'core');
    my $made = $create->('dir/core', length $bytes);
    my $path = $made->header('Location');

    is($made->status, 201, "$adapter: an upload is created");
    is($made->header('Tus-Resumable'), '1.0.0', 'by that version');
    like($path, qr{^/api/storage/uploads/n/[0-9a-f]{32}$},
         'under a name that nobody guesses');
    like($made->header('Upload-Expires'), qr/GMT$/, 'for a time');

    my $head = $node->head($path, headers => [ @TUS ]);

    is($head->status, 200, 'it is there');
    is($head->header('Upload-Offset'), 0, 'and has nothing');
    is($head->header('Upload-Length'), 300_000, 'of so much');
    is($head->header('Upload-Metadata'), metadata('dir/core', 'text/x-test'),
       'its metadata come back');
    is($head->header('Cache-Control'), 'no-store', 'no cache keeps that');

    my $first = $patch->($path, 0, substr $bytes, 0, 100_000);

    is($first->status, 204, "$adapter: bytes are taken");
    is($first->header('Upload-Offset'), 100_000, 'so many');
    is($offset->($path), 100_000, 'which HEAD tells too');
    is($patch->($path, 99_999, 'x')->status, 409,
       'those of another place are not');
    is($patch->($path, 100_001, 'x')->status, 409, 'nor beyond the end');
    is($node->get('blobs/n/dir/core')->status, 404, 'there is no blob yet');
    is($node->patch($path, 'x', headers => [ @TUS,
           'Upload-Offset' => 100_000 ])->status, 415,
       'nor those of another type');
    is($patch->($path, 100_000, 'x' x 200_001)->status, 413,
       'nor too many');

    my $last = $patch->($path, 100_000, substr $bytes, 100_000);

    is($last->status, 204, "$adapter: the last bytes are taken");
    is($last->header('Upload-Offset'), 300_000, 'all are there');

    my $blob = $node->get('blobs/n/dir/core');

    is($blob->status, 200, 'and are a blob');
    ok($blob->body eq $bytes, 'byte by byte');
    is($blob->header('Content-Type'), 'text/x-test', 'of its type');
    is($blob->header('ETag'), $last->header('ETag'),
       'whose hash the last answer told');
    is($offset->($path), 300_000, 'who missed that answer is told the end');
    is($patch->($path, 300_000, '')->status, 204,
       'and may ask for it once more');


    # small ones, none, with bytes at once

    for my $size (0, 10, 65536, 65537) {
        my $content = bytes($size, 'at once');
        my $reply = $node->post('uploads/n', $content, headers => [
            @OCTETS, 'Upload-Length' => $size,
            'Upload-Metadata' => metadata("at/$size") ]);

        is($reply->status, 201, "$adapter: $size bytes are taken at once");
        is($reply->header('Upload-Offset'), $size, 'all of them');
        ok($node->get("blobs/n/at/$size")->body eq $content,
           'and are a blob');
    }

    is($create->('at/0b', 0)->status, 201, 'no bytes are an upload too');
    is($node->get('blobs/n/at/0b')->status, 200, 'and a blob at once');


    # the length comes later

    my $later = $node->post('uploads/n', '', headers => [
        @TUS, 'Upload-Defer-Length' => 1,
        'Upload-Metadata' => metadata('later') ])->header('Location');

    my $waiting = $node->head($later, headers => [ @TUS ]);

    is($waiting->header('Upload-Defer-Length'), 1,
       "$adapter: the length may be put off");
    is($patch->($later, 0, 'abc')->status, 204, 'while bytes come');
    is($patch->($later, 3, 'def', 'Upload-Length' => 2)->status, 400,
       'it cannot be less than what came');
    is($patch->($later, 3, 'def', 'Upload-Length' => 6)->status, 204,
       'and is told with others');
    is($node->get('blobs/n/later')->body, 'abcdef', 'then it is a blob');


    # checksums

    for my $size (1000, 400_000) {
        my $content = bytes($size, 'sum');
        my $at = $create->("sum/$size", $size)->header('Location');
        my $bad = $patch->($at, 0, $content,
            'Upload-Checksum' => 'sha1 ' . padded(sha1_base64('other')));

        is($bad->status, 460, "$adapter: $size bytes of another checksum");
        is($offset->($at), 0, 'are not kept');
        is($patch->($at, 0, substr($content, 0, $size / 2),
               'Upload-Checksum' => 'sha1 '
                   . padded(sha1_base64(substr $content, 0, $size / 2)))
               ->status, 204, 'those of the right one are');
        is($patch->($at, $size / 2, substr($content, $size / 2),
               'Upload-Checksum' => 'sha256 '
                   . padded(sha256_base64(substr $content, $size / 2)))
               ->status, 204, 'by sha256 too');
        ok($node->get("blobs/n/sum/$size")->body eq $content,
           'and are the blob');
    }

    my $sums = $create->('sums', 3)->header('Location');

    is($patch->($sums, 0, 'abc', 'Upload-Checksum' => 'crc32 AAAA')->status,
       400, 'a checksum that nobody knows is refused');
    is($patch->($sums, 0, 'abc', 'Upload-Checksum' => 'sha1 AAAA')->status,
       400, 'so is one of another length');


    # termination, other names for methods

    my $gone = $create->('gone', 5)->header('Location');

    $patch->($gone, 0, 'abc');
    is($node->del($gone, headers => [ @TUS ])->status, 204,
       "$adapter: an upload may be given up");
    is($offset->($gone), undef, 'then it is gone');
    is($patch->($gone, 3, 'de')->status, 404, 'for good');

    my $named = $create->('named', 3)->header('Location');

    is($node->post($named, 'abc', headers => [ @OCTETS,
           'X-HTTP-Method-Override' => 'PATCH', 'Upload-Offset' => 0 ])
           ->status, 204, 'POST may stand for PATCH');
    is($node->get('blobs/n/named')->body, 'abc', 'and is it');


    # refusals

    is($create->('x', 4 * 1024 * 1024 + 1)->status, 413,
       "$adapter: more than the limit is refused at once");
    is($create->('x', 'many')->status, 400, 'a length is a number');
    is($create->('x', 1, 'Upload-Defer-Length' => 1)->status, 400,
       'told or put off, not both');
    is($node->post('uploads/n', '', headers => [ @TUS,
           'Upload-Length' => 1 ])->status, 400, 'a blob has a name');

    for my $name ('', '/a', 'a//b', 'a/../b', '.', 'a/.', 'n' x 513,
                  "a\0b", "\xff")
    {
        is($create->($name, 1)->status, 400,
           'a blob cannot be called "' . $name =~ s/[^ -~]/?/gr =~ s/n{9,}//r
           . '"');
    }

    is($node->head('uploads/n/' . '0' x 32, headers => [ @TUS ])->status, 404,
       'what was not created is not there');
    is($node->head('uploads/n/../x', headers => [ @TUS ])->status, 400,
       'no path leads elsewhere');
    is($node->get($path)->status, 412, 'a GET without a version neither');
    is($node->get($path, headers => [ @TUS ])->status, 405, 'nor with it');
}

done_testing();
