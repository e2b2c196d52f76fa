#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Uploads and a full disk, a small quota, and time: refused with a reason,
# nothing left behind, what was there before is there after.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

my @TUS = ('Tus-Resumable' => '1.0.0');
my @OCTETS = (@TUS, 'Content-Type' => 'application/offset+octet-stream');

my $bytes = join '', map { sha256_hex("full $_") } 1 .. 320_000;  # 20 MB

my $full = nginx_with_small_files();


# A file may not pass 12 MB, which fails as a disk does that is full.

sub nginx_with_small_files {
    my $file = File::Temp->new(SUFFIX => '.sh');
    my $nginx = Mesh::Test::nginx_binary();

    print {$file} "#!/bin/bash\nulimit -f 12288\nexec $nginx \"\$@\"\n";
    close $file;
    chmod 0755, $file->filename;

    return $file;
}


for my $adapter (Mesh::Test::Storage->adapters) {
    local $ENV{MESH_TEST_NGINX} = $full->filename;

    my $node = Mesh::Test::Storage->new(
        adapter  => $adapter,
        location => 'mesh_storage_upload_time 2s;
                     mesh_storage_quota items=100 bytes=30m;')->start;
    my $folder = $node->data . '/blobs';
    my $temps = sub { return scalar grep { -e } glob "$folder/tmp/*" };

    my $create = sub {
        my ($name, $length, @more) = @_;

        return $node->post('uploads/n', '', headers => [
            @TUS, 'Upload-Length' => $length,
            'Upload-Metadata' => 'filename ' . encode_base64($name, ''),
            @more ]);
    };

    my $offset = sub {
        return $node->head($_[0], headers => [ @TUS ])
                    ->header('Upload-Offset') // -1;
    };


    # a full disk

    my $put = $node->put('blobs/n/large', $bytes);

    is($put->status, 507, "$adapter: a blob that the disk does not take");
    is($put->json->{error}, 'storage-full', 'is refused as that');
    ok($node->wait_for(sub { $temps->() == 0 }, 20, 'no file'),
       'its file is removed');
    is($node->put('blobs/n/fits', substr $bytes, 0, 5_000_000)->status, 201,
       'one that it takes is not');

    my $upload = $create->('large', length $bytes)->header('Location');
    my $part = $node->patch($upload, $bytes, headers => [
        @OCTETS, 'Upload-Offset' => 0 ]);

    is($part->status, 507, "$adapter: so is a part of an upload");
    cmp_ok($offset->($upload), '<=', 12 * 1024 * 1024,
           'what fitted is kept');
    cmp_ok($offset->($upload), '>', 0, 'for later');


    # time

    $node->wait_for(sub { $offset->($upload) == -1 }, 30,
                    'the end of an upload');
    is($node->patch($upload, 'x', headers => [
           @OCTETS, 'Upload-Offset' => 0 ])->status, 404,
       "$adapter: an upload that was not ended is gone after its time");
    $node->wait_for(
        sub { $create->('again', 20_000_000)->status == 201 }, 60,
        'its bytes to be given back');
    pass('and is no longer charged');
    is($node->get('blobs/n/fits')->status, 200, 'a blob stays');


    # the quota: 30 MB, of which 5 and 20 are gone

    my $more = $create->('more', 20_000_000);

    is($more->status, 507, "$adapter: uploads that have begun are charged");
    is($more->json->{limit}, 30 * 1024 * 1024, 'against the limit');

    my $later = $node->post('uploads/n', '', headers => [
        @TUS, 'Upload-Defer-Length' => 1,
        'Upload-Metadata' => 'filename YQ==' ])->header('Location');

    is($node->patch($later, 'abc', headers => [ @OCTETS,
           'Upload-Offset' => 0, 'Upload-Length' => 20_000_000 ])->status,
       507, 'one whose length comes later, then');
    is($offset->($later), 0, 'and none of its bytes is taken');
}

done_testing();
