"""What a WMTS and a WMS say of themselves."""

from geolocator_gui.geo.projection import WORLD_M

ZOOM = 18
MATRIX = (
    "<TileMatrix><ows:Identifier>{name}</ows:Identifier><ScaleDenominator>{scale:.10f}</ScaleDenominator>"
    "<TopLeftCorner>-20037508.3428 20037508.3428</TopLeftCorner><TileWidth>256</TileWidth>"
    "<TileHeight>256</TileHeight><MatrixWidth>{n}</MatrixWidth><MatrixHeight>{n}</MatrixHeight></TileMatrix>"
)
WMTS = """<?xml version="1.0"?>
<Capabilities xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1"
 xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0.0">
<ows:ServiceIdentification><ows:AccessConstraints>free for all</ows:AccessConstraints>
</ows:ServiceIdentification>
<ows:ServiceProvider><ows:ProviderName>The Survey</ows:ProviderName></ows:ServiceProvider>
<ows:OperationsMetadata><ows:Operation name="GetTile"><ows:DCP><ows:HTTP>
 <ows:Get xlink:href="{url}/kvp?"/></ows:HTTP></ows:DCP></ows:Operation></ows:OperationsMetadata>
<Contents>
<Layer><ows:Identifier>ortho</ows:Identifier>
 <ows:WGS84BoundingBox><ows:LowerCorner>12 60</ows:LowerCorner>
 <ows:UpperCorner>13 65</ows:UpperCorner></ows:WGS84BoundingBox>
 <Style isDefault="true"><ows:Identifier>plain</ows:Identifier></Style><Format>image/png</Format>
 <TileMatrixSetLink><TileMatrixSet>national</TileMatrixSet></TileMatrixSetLink>
 <TileMatrixSetLink><TileMatrixSet>web</TileMatrixSet></TileMatrixSetLink>{resource}</Layer>
<Layer><ows:Identifier>local only</ows:Identifier><Style><ows:Identifier/></Style><Format>image/png</Format>
 <TileMatrixSetLink><TileMatrixSet>national</TileMatrixSet></TileMatrixSetLink></Layer>
<TileMatrixSet><ows:Identifier>national</ows:Identifier>
<ows:SupportedCRS>urn:ogc:def:crs:EPSG::25832</ows:SupportedCRS>
</TileMatrixSet>
<TileMatrixSet><ows:Identifier>web</ows:Identifier>
<ows:SupportedCRS>urn:ogc:def:crs:EPSG::3857</ows:SupportedCRS>
{matrices}</TileMatrixSet></Contents></Capabilities>"""
REST = (
    '<ResourceURL format="image/png" resourceType="tile" '
    'template="{url}/{{TileMatrix}}/{{TileCol}}/{{TileRow}}.png"/>'
)
DTD = '<!DOCTYPE WMT_MS_Capabilities SYSTEM "http://schemas.opengis.net/wms/1.1.1/x.dtd">'


def wmts_page(url, resource):
    scale = WORLD_M / 256 / 0.00028
    matrices = "".join(MATRIX.format(name=z, scale=scale / 2**z, n=2**z) for z in range(15, ZOOM + 1))
    text = WMTS.format(url=url, resource=resource.format(url=url), matrices=matrices)
    return "application/xml", text.encode()


WMS = """<?xml version="1.0"?>{doctype}<{root} version="{version}">
<Service><Name>WMS</Name><MaxWidth>4000</MaxWidth>
<AccessConstraints>ask first</AccessConstraints></Service>
<Capability><Request><GetMap><Format>image/tiff</Format>
<Format>image/png</Format></GetMap></Request><Layer><Title>all</Title>
<{crs}>EPSG:4326</{crs}><{crs}>EPSG:3857</{crs}>
<EX_GeographicBoundingBox><westBoundLongitude>12</westBoundLongitude><eastBoundLongitude>13</eastBoundLongitude>
<southBoundLatitude>60</southBoundLatitude><northBoundLatitude>65</northBoundLatitude></EX_GeographicBoundingBox>
<Layer><Name>ortho</Name><Attribution><Title>The Survey</Title></Attribution></Layer>
<Layer><Name>roads</Name></Layer></Layer></Capability></{root}>"""
